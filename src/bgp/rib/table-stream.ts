import type { AdjRibOut } from "./adj-rib-out.ts";
import { type Block, type BlockSource, packBlock } from "./block.ts";
import { BucketOrder } from "./bucket-order.ts";

/** Entries of one chunk: some ms of work, some hundred kilobytes. */
const chunkEntries = 16_384;

/**
 * The whole Adj-RIB-Out as blocks, made while the first peer reads them and shared by all that come
 * after it. A chunk has what is announced when it is made; whoever reads the stream must be sent
 * every block since `since` afterwards, and has then the present state.
 *
 * Before the first chunk the entries are listed in the order in which they are packed best, step by step
 * (measured: 50 to 90 ms for a million). What changes meanwhile is in a block, and no entry is left out: the
 * order alone may be that of before.
 */
export class TableStream {
  /** Number of the group's first block that readers still need. */
  readonly since: number;
  readonly #from: BlockSource;
  readonly #chunks: Block[] = [];
  #listing: Generator<undefined, Uint32Array, undefined> | undefined;
  #entries: Uint32Array = new Uint32Array(0);
  #at = 0;
  #bytes = 0;

  /** `listStep`: entries that one step of listing looks at. */
  constructor(since: number, from: BlockSource, listStep: number) {
    this.since = since;
    this.#from = from;
    this.#listing = bySet(from.out, listStep);
    // A small table is as it is now: what comes later is not told twice.
    this.list();
  }

  /** Octets of the chunks that were made. */
  get bytes(): number {
    return this.#bytes;
  }

  /** One step towards the first chunk. True when there is one more to do. */
  list(): boolean {
    const step = this.#listing?.next();
    if (step === undefined) return false;
    if (step.done !== true) return true;
    this.#entries = step.value;
    this.#listing = undefined;
    return false;
  }

  /** Chunk `index`, made now unless it is there; undefined after the last. All must be listed. */
  chunk(index: number): Block | undefined {
    while (index >= this.#chunks.length && this.#at < this.#entries.length) this.#make();
    return this.#chunks[index];
  }

  #make(): void {
    const end = Math.min(this.#at + chunkEntries, this.#entries.length);
    const { out } = this.#from;
    const announced = this.#entries
      .subarray(this.#at, end)
      .filter((entry) => out.attributesAt(entry) !== 0);
    const chunk = packBlock({ announced, withdrawn: new Uint32Array(0) }, this.#from);
    this.#chunks.push(chunk);
    this.#bytes += chunk.bytes.length;
    this.#at = end;
    if (this.#at === this.#entries.length) {
      this.#entries = new Uint32Array(0);
      this.#at = 0;
    }
  }
}

/** Every entry that is there at the start, ordered as they are packed best. */
function* bySet(out: AdjRibOut, listStep: number): Generator<undefined, Uint32Array, undefined> {
  const { end } = out;
  const entries = new Uint32Array(end);
  const keys = new Uint32Array(end);
  let count = 0;
  for (let from = 0; from < end; from += listStep) {
    const to = Math.min(from + listStep, end);
    for (let entry = from; entry < to; entry++) {
      const attributesId = out.attributesAt(entry);
      if (attributesId === 0) continue;
      entries[count] = entry;
      keys[count++] = attributesId;
    }
    yield;
  }
  const listed = entries.subarray(0, count);
  return yield* new BucketOrder().inSteps(listed, keys.subarray(0, count), listStep);
}
