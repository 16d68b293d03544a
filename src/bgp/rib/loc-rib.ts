import type { AttributeStore } from "./attribute-store.ts";
import { IdColumn, PeerColumn } from "./id-column.ts";

/** The best route to one prefix. */
export interface BestRoute {
  readonly peer: number;
  readonly attributesId: number;
}

/** The chosen route of every prefix of one family, by prefix id: 6 bytes each. */
export class LocRib {
  readonly #attributes: AttributeStore;
  readonly #attribute = new IdColumn();
  readonly #peer = new PeerColumn();
  #size = 0;

  constructor(attributes: AttributeStore) {
    this.#attributes = attributes;
  }

  /** Number of prefixes with a route. */
  get size(): number {
    return this.#size;
  }

  get(prefixId: number): BestRoute | undefined {
    const attributesId = this.#attribute.get(prefixId);
    return attributesId === 0 ? undefined : { peer: this.#peer.get(prefixId), attributesId };
  }

  /** 0 when there is no route. */
  attributesAt(prefixId: number): number {
    return this.#attribute.get(prefixId);
  }

  peerAt(prefixId: number): number {
    return this.#peer.get(prefixId);
  }

  /** True when the route has changed. */
  set(prefixId: number, best: BestRoute | undefined): boolean {
    const before = this.#attribute.get(prefixId);
    const after = best?.attributesId ?? 0;
    const peer = best?.peer ?? 0;
    if (before === after && this.#peer.get(prefixId) === peer) return false;
    if (after !== 0) this.#attributes.retain(after);
    if (before !== 0) this.#attributes.release(before);
    this.#attribute.set(prefixId, after);
    this.#peer.set(prefixId, peer);
    this.#size += Number(after !== 0) - Number(before !== 0);
    return true;
  }
}
