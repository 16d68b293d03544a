import { DatastoreError } from "../datastore/datastore.ts";
import type { IpFamily } from "../lib/ip-addr.ts";
import type { Prefix } from "../lib/prefix.ts";
import type { IpamRecords } from "./ipam-records.ts";

/*
 * The write of the handle comes before that of the block, and takes as long. Which block it will be is
 * mostly known before the pools are read: the one that the node's last address came from. So the handle is
 * counted up while they are read. Where the guess was wrong, it is counted down again; a crash leaves
 * what one between the two writes leaves, a count too high.
 */

/** A handle that counts addresses of a block which are not written yet. */
export class EarlyHandle {
  readonly #records: IpamRecords;
  readonly #handle: string;
  readonly #cidr: Prefix;
  readonly #count: number;
  readonly #counted: Promise<void>;
  #isTaken = false;

  /** Undefined where the block cannot be guessed, or the handle need not come first. */
  static begin(
    records: IpamRecords,
    request: {
      readonly node: string;
      readonly family: IpFamily;
      readonly count: number;
      readonly handle: string;
    },
  ): EarlyHandle | undefined {
    const { node, family, count, handle } = request;
    const block = records.memory.expected(node, family);
    if (records.writesTogether) return undefined;
    if (block === undefined || block.spec.unallocated.length < count) return undefined;
    return new EarlyHandle(records, { handle, cidr: block.cidr, count });
  }

  private constructor(
    records: IpamRecords,
    guess: { readonly handle: string; readonly cidr: Prefix; readonly count: number },
  ) {
    const { handle, cidr, count } = guess;
    this.#records = records;
    this.#handle = handle;
    this.#cidr = cidr;
    this.#count = count;
    this.#counted = records.incrementHandle(handle, cidr, { count, likelyNew: true });
    this.#counted.catch(() => undefined);
  }

  /**
   * True when the handle counts exactly these addresses already: the caller writes their block, or counts
   * them down.
   *
   * @throws what the handle's write gave.
   */
  async take(cidr: Prefix, count: number): Promise<boolean> {
    if (this.#isTaken || cidr !== this.#cidr || count !== this.#count) return false;
    this.#isTaken = true;
    await this.#counted;
    return true;
  }

  /**
   * Counts down what nobody took. Where that fails the count stays too high, as after a crash: the
   * handle's release repairs it.
   */
  async end(): Promise<void> {
    if (this.#isTaken) return;
    this.#isTaken = true;
    try {
      await this.#counted;
      await this.#records.decrementHandle(this.#handle, this.#cidr, this.#count);
    } catch (error) {
      if (!(error instanceof DatastoreError)) throw error;
    }
  }
}
