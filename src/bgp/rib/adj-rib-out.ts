import type { AttributeStore } from "./attribute-store.ts";
import { IdColumn, PeerColumn } from "./id-column.ts";

/** A route as a group of peers is told it. */
export interface OutRoute {
  readonly attributesId: number;
  /** Peer that it was learned from. */
  readonly source: number;
}

/**
 * What the peers of one update group have been told. An entry is a prefix id; for peers with ADD-PATH
 * it is the number of a path, which is the path identifier that they are told as well.
 */
export class AdjRibOut {
  readonly #attributes: AttributeStore;
  readonly #attribute = new IdColumn();
  readonly #source = new PeerColumn();
  #end = 0;
  #size = 0;

  constructor(attributes: AttributeStore) {
    this.#attributes = attributes;
  }

  /** Number of entries. */
  get size(): number {
    return this.#size;
  }

  /** One more than the greatest entry that was ever set. */
  get end(): number {
    return this.#end;
  }

  get(entry: number): OutRoute | undefined {
    const attributesId = this.#attribute.get(entry);
    return attributesId === 0 ? undefined : { attributesId, source: this.#source.get(entry) };
  }

  /** 0 when there is no such entry. */
  attributesAt(entry: number): number {
    return this.#attribute.get(entry);
  }

  sourceAt(entry: number): number {
    return this.#source.get(entry);
  }

  /** Takes over one reference to the attributes; 0 removes the entry. True when something changes. */
  set(entry: number, attributesId: number, source: number): boolean {
    const before = this.#attribute.get(entry);
    if (before !== 0) this.#attributes.release(before);
    if (before === attributesId && (before === 0 || this.#source.get(entry) === source)) {
      return false;
    }
    this.#attribute.set(entry, attributesId);
    this.#source.set(entry, source);
    this.#size += Number(attributesId !== 0) - Number(before !== 0);
    if (entry >= this.#end) this.#end = entry + 1;
    return true;
  }

  /** Every entry, ascending. */
  all(): Uint32Array {
    const entries = new Uint32Array(this.#size);
    let count = 0;
    for (let entry = 0; entry < this.#end; entry++) {
      if (this.#attribute.get(entry) !== 0) entries[count++] = entry;
    }
    return entries;
  }

  /** Gives all references back. The table must not be used after. */
  release(): void {
    for (const entry of this.all()) this.#attributes.release(this.#attribute.get(entry));
  }
}
