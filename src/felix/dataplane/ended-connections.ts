import type { ExecHelper } from "../../kernel/exec-helper.ts";
import { errorMessage } from "../../lib/errors.ts";
import { type IpAddr, ipFamily } from "../../lib/ip-addr.ts";
import type { Logger } from "../../lib/log.ts";

const maxAttempts = 3;
const fields = ["--orig-src", "--reply-src"] as const;

/**
 * Ends what the kernel still tracks of an address that left its pod: the next pod with that address
 * must not inherit connections that its policy never let begin (facts 4.16).
 */
export class EndedConnections {
  readonly #exec: Pick<ExecHelper, "run">;
  readonly #log: Logger;
  /** Interface of each pod's address at the last call. */
  #last: ReadonlyMap<IpAddr, number> = new Map();
  /** Under way, by address. */
  readonly #ending = new Map<IpAddr, Promise<void>>();
  #tail: Promise<void> = Promise.resolve();

  constructor(ports: { readonly exec: Pick<ExecHelper, "run">; readonly log: Logger }) {
    this.#exec = ports.exec;
    this.#log = ports.log;
  }

  /**
   * Tells the addresses that pods have now, with their interfaces. Resolves when nothing old is left
   * of those; what others had ends in the background.
   */
  async apply(present: ReadonlyMap<IpAddr, number>): Promise<void> {
    for (const [address, ifindex] of this.#last) {
      if (present.get(address) !== ifindex) this.#begin(address);
    }
    this.#last = present;
    for (const [address, ending] of this.#ending) if (present.has(address)) await ending;
  }

  /** One after the other: each is a process of some milliseconds. */
  #begin(address: IpAddr): void {
    const ending = this.#tail.then(() => this.#end(address));
    this.#tail = ending;
    this.#ending.set(address, ending);
    void ending.then(() => {
      if (this.#ending.get(address) === ending) this.#ending.delete(address);
    });
  }

  /** Never fails: where the program is missing there is nothing to do about it. */
  async #end(address: IpAddr): Promise<void> {
    for (const field of fields) {
      const complaint = await this.#delete(field, address);
      if (complaint !== undefined) {
        this.#log.warn({ address, reason: complaint }, "connections not ended");
      }
    }
  }

  /** @returns why it failed, each time. No such connection is no failure. */
  async #delete(field: string, address: IpAddr): Promise<string | undefined> {
    const args = ["--family", `ipv${ipFamily(address)}`, "--delete", field, address];
    let complaint = "";
    for (let attempt = 1; attempt <= maxAttempts; attempt++) {
      try {
        const { code, stderr } = await this.#exec.run("conntrack", args);
        if (code === 0 || stderr.includes("0 flow entries")) return undefined;
        complaint = stderr.trim().slice(0, 500);
      } catch (error) {
        complaint = errorMessage(error);
      }
    }
    return complaint;
  }
}
