import { KeyedLock } from "../../lib/keyed-lock.ts";
import type { NftGeneration } from "../nft-generation.ts";

/**
 * Whether what was read of the tables of one network namespace still holds, so that a change need not
 * read again what is there: with the nft variant of iptables every commit of anybody adds one to the
 * generation of nf_tables, and each COMMIT line of a restore is one commit.
 *
 * Work goes in rounds. What is remembered in one holds in the next when between its begin and the
 * next's only we have written. Without a generation (legacy) nothing ever holds.
 */
export class TableMemory {
  readonly #generation: NftGeneration | undefined;
  readonly #lock = new KeyedLock();
  /** Another one makes void all that was remembered. */
  #epoch = 0;
  #known: number | undefined;
  #commits = 0;
  #inRound = false;

  constructor(generation?: NftGeneration) {
    this.#generation = generation;
  }

  /** What to keep beside what is remembered now. Undefined: it would never hold. */
  get epoch(): number | undefined {
    return this.#inRound && this.#known !== undefined ? this.#epoch : undefined;
  }

  /** A restore was carried out. */
  committed(): void {
    this.#commits++;
  }

  /** Reads and writes of any tables. One round at a time. */
  round<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#lock.run("", async () => {
      await this.#compare();
      this.#inRound = true;
      try {
        return await work();
      } finally {
        this.#inRound = false;
        await this.#compare();
      }
    });
  }

  close(): void {
    this.#generation?.close();
  }

  async #compare(): Promise<void> {
    const expected = this.#known === undefined ? undefined : (this.#known + this.#commits) >>> 0;
    // Where it cannot be told, tables are read each time.
    this.#known = await this.#generation?.read().catch(() => undefined);
    this.#commits = 0;
    if (this.#known === undefined || this.#known !== expected) this.#epoch++;
  }
}
