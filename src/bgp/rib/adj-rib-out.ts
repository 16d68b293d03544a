import type { AttributeStore } from "./attribute-store.ts";
import { IdColumn } from "./id-column.ts";
import type { Announced } from "./pack-updates.ts";

/** One difference between what was announced and what is to be. */
export interface OutChange {
  readonly prefixId: number;
  readonly before: OutRoute | undefined;
  readonly after: OutRoute | undefined;
}

export interface OutRoute {
  readonly attributesId: number;
  /** Peer that it was learned from. */
  readonly source: number;
}

/** What the peers of one update group have been told, by prefix id. */
export class AdjRibOut {
  readonly #attributes: AttributeStore;
  readonly #attribute = new IdColumn();
  readonly #source = new IdColumn();
  #size = 0;

  constructor(attributes: AttributeStore) {
    this.#attributes = attributes;
  }

  get size(): number {
    return this.#size;
  }

  get(prefixId: number): OutRoute | undefined {
    const attributesId = this.#attribute.get(prefixId);
    return attributesId === 0 ? undefined : { attributesId, source: this.#source.get(prefixId) };
  }

  /** Takes over one reference to the attributes. Undefined when nothing changes. */
  set(prefixId: number, after: OutRoute | undefined): OutChange | undefined {
    const before = this.get(prefixId);
    if (before !== undefined) this.#attributes.release(before.attributesId);
    if (before?.attributesId === after?.attributesId && before?.source === after?.source) {
      return undefined;
    }
    this.#attribute.set(prefixId, after?.attributesId ?? 0);
    this.#source.set(prefixId, after?.source ?? 0);
    this.#size += Number(after !== undefined) - Number(before !== undefined);
    return { prefixId, before, after };
  }

  /** Everything that is announced, of ids below `end`. */
  *all(end: number): Generator<Announced> {
    for (let prefixId = 0; prefixId < end; prefixId++) {
      const route = this.get(prefixId);
      if (route !== undefined) yield { prefixId, ...route };
    }
  }

  /** Gives all references back. The table must not be used after. */
  release(end: number): void {
    for (const { attributesId } of this.all(end)) this.#attributes.release(attributesId);
  }
}
