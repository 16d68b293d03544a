import { getOrCreate } from "../../lib/collections.ts";
import type { AdjRibOut } from "./adj-rib-out.ts";
import { type Block, type BlockSource, packBlock, packWithdrawals } from "./block.ts";
import { grown } from "./prefix-table.ts";

/** Entries of an Adj-RIB-Out that have changed, with the source that each had before. */
export class GroupChanges {
  readonly #out: AdjRibOut;
  #entries = new Uint32Array(1024);
  /** Plus 1; 0: it was not there. */
  #before = new Uint32Array(1024);
  #count = 0;

  constructor(out: AdjRibOut) {
    this.#out = out;
  }

  get size(): number {
    return this.#count;
  }

  /** Changes an entry; 0 removes it. Takes over one reference to the attributes. */
  set(entry: number, attributesId: number, source: number): void {
    const known = this.#out.attributesAt(entry) !== 0;
    const before = known ? this.#out.sourceAt(entry) + 1 : 0;
    if (!this.#out.set(entry, attributesId, source)) return;
    if (this.#count === this.#entries.length) {
      this.#entries = grown(this.#entries, new Uint32Array(this.#count * 2));
      this.#before = grown(this.#before, new Uint32Array(this.#count * 2));
    }
    this.#entries[this.#count] = entry;
    this.#before[this.#count++] = before;
  }

  clear(): void {
    this.#count = 0;
  }

  /** The entries that have changed; valid until the next change. */
  entries(): Uint32Array {
    return this.#entries.subarray(0, this.#count);
  }

  /** What is now announced of them, as messages. */
  pack(from: BlockSource): Block {
    const announced = new Uint32Array(this.#count);
    const withdrawn = new Uint32Array(this.#count);
    let announcedCount = 0;
    let withdrawnCount = 0;
    for (let i = 0; i < this.#count; i++) {
      const entry = this.#entries[i] as number;
      if (this.#out.attributesAt(entry) !== 0) announced[announcedCount++] = entry;
      else withdrawn[withdrawnCount++] = entry;
    }
    const changed = {
      announced: announced.subarray(0, announcedCount),
      withdrawn: withdrawn.subarray(0, withdrawnCount),
    };
    return packBlock(changed, from, this.#taken(from));
  }

  /** Now learned from a peer itself: it is to forget what it was told of another source. */
  #taken(from: BlockSource): Block["taken"] {
    const entriesOf = new Map<number, number[]>();
    for (let i = 0; i < this.#count; i++) {
      const entry = this.#entries[i] as number;
      const before = this.#before[i] as number;
      if (before === 0 || this.#out.attributesAt(entry) === 0) continue;
      const source = this.#out.sourceAt(entry);
      if (before !== source + 1) getOrCreate(entriesOf, source, () => []).push(entry);
    }
    const taken = new Map<number, Uint8Array>();
    for (const [peer, entries] of entriesOf) {
      taken.set(peer, packWithdrawals(Uint32Array.from(entries), from));
    }
    return taken;
  }
}
