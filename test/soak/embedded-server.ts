import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Datastore, DatastoreError } from "../../src/datastore/datastore.ts";
import { openEmbeddedDatastore } from "../../src/datastore/embedded/embedded-datastore.ts";
import { createNode } from "./create-node.ts";
import type { HolderAnswer, HolderCall } from "./embedded-holder.ts";
import type { SoakServer } from "./soak.ts";
import type { WriterStore } from "./writer.ts";

const holderProgram = fileURLToPath(new URL("./embedded-holder.ts", import.meta.url));
const gone = () => new DatastoreError("The process that writes is gone", { code: "unavailable" });

type Unnumbered<Call> = Call extends unknown ? Omit<Call, "id"> : never;
interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The embedded datastore has no server: here the process that writes to it is the one that is killed,
 * in the middle of its transactions.
 */
export class EmbeddedServer implements SoakServer {
  readonly name = "embedded";
  readonly #folder = mkdtempSync(join(tmpdir(), "tortie-soak-"));
  readonly #waiting = new Map<number, Waiting>();
  #calls = 0;
  #holder: ChildProcess | undefined;

  get env(): Readonly<Record<string, string>> {
    return { DATASTORE_TYPE: "embedded", TORTIE_DATASTORE_PATH: this.#folder };
  }

  createNode(name: string): Promise<void> {
    return createNode(this, name);
  }

  async open(): Promise<Datastore> {
    return openEmbeddedDatastore(this.#folder);
  }

  /** Only what the writer calls goes through the process. */
  async openForWriter(): Promise<WriterStore> {
    return {
      get: (key) => this.#call({ verb: "get", key }) as never,
      create: (resource) => this.#call({ verb: "create", resource }) as never,
      update: (resource) => this.#call({ verb: "update", resource }) as never,
      delete: (key, version) => this.#call({ verb: "delete", key, version }) as never,
      close: async () => undefined,
    };
  }

  async start(): Promise<void> {
    const holder = fork(holderProgram, [this.#folder], { serialization: "advanced" });
    this.#holder = holder;
    holder.on("message", (answer: HolderAnswer) => {
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if ("result" in answer) waiting?.resolve(answer.result);
      else waiting?.reject(new DatastoreError(answer.message, answer.failure));
    });
    await new Promise((resolve) => holder.once("spawn", resolve));
  }

  async kill(_round: number): Promise<void> {
    const holder = this.#holder;
    if (holder === undefined) return;
    this.#holder = undefined;
    const ended = new Promise((resolve) => holder.once("exit", resolve));
    holder.kill("SIGKILL");
    await ended;
    for (const { reject } of this.#waiting.values()) reject(gone());
    this.#waiting.clear();
  }

  async remove(): Promise<void> {
    await this.kill(0);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #call(call: Unnumbered<HolderCall>): Promise<unknown> {
    const holder = this.#holder;
    if (holder === undefined) return Promise.reject(gone());
    const id = ++this.#calls;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      // A failure to send is that of the process, whose end is heard.
      holder.send({ id, ...call } as HolderCall, () => undefined);
    });
  }
}
