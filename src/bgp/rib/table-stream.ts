import type { AdjRibOut } from "./adj-rib-out.ts";
import { type Block, type BlockSource, packBlock } from "./block.ts";

/** Entries of one chunk: some ms of work, some hundred kilobytes. */
const chunkEntries = 16_384;

/**
 * The whole Adj-RIB-Out as blocks, made while the first peer reads them and shared by all that come
 * after it. A chunk has what is announced when it is made; whoever reads the stream must be sent
 * every block since `since` afterwards, and has then the present state.
 */
export class TableStream {
  /** Number of the group's first block that readers still need. */
  readonly since: number;
  readonly #from: BlockSource;
  readonly #chunks: Block[] = [];
  #entries: Uint32Array;
  #at = 0;
  #bytes = 0;

  constructor(since: number, from: BlockSource) {
    this.since = since;
    this.#from = from;
    this.#entries = bySet(from.out, from);
  }

  /** Octets of the chunks that were made. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Chunk `index`, made now unless it is there; undefined after the last. */
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

/** Ordered as they are packed best. */
function bySet(out: AdjRibOut, { buckets }: BlockSource): Uint32Array {
  const entries = out.all();
  return buckets.order(
    entries,
    entries.map((entry) => out.attributesAt(entry)),
  );
}
