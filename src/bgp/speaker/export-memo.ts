import { getOrCreate } from "../../lib/collections.ts";
import type { AttributeStore } from "../rib/attribute-store.ts";

const slotCount = 4096;

/**
 * What became of attributes on their way to a group, while a batch lasts: by attributes and source, and
 * where policy looks at more than those, by a text as well. Holds a reference to each result.
 */
export class ExportMemo {
  readonly #attributes: AttributeStore;
  /** Plus 1, 0: empty. */
  readonly #ids = new Uint32Array(slotCount);
  readonly #peers = new Uint32Array(slotCount);
  readonly #results = new Uint32Array(slotCount);
  readonly #used: number[] = [];
  readonly #byText = new Map<string, number>();

  constructor(attributes: AttributeStore) {
    this.#attributes = attributes;
  }

  /** The result, with a reference for the caller; 0: not told. */
  find(peer: number, attributesId: number): number | undefined {
    const slot = attributesId & (slotCount - 1);
    if (this.#ids[slot] !== attributesId + 1 || this.#peers[slot] !== peer) return undefined;
    return this.#retained(this.#results[slot] as number);
  }

  /** Takes over the reference to the result, and gives it with another one. */
  add(peer: number, attributesId: number, result: number): number {
    const slot = attributesId & (slotCount - 1);
    if (this.#ids[slot] === 0) this.#used.push(slot);
    else this.#release(this.#results[slot] as number);
    this.#ids[slot] = attributesId + 1;
    this.#peers[slot] = peer;
    this.#results[slot] = result;
    return this.#retained(result);
  }

  /** As `find` and `add`, by a text as well. */
  of(peer: number, attributesId: number, text: string, make: () => number): number {
    return this.#retained(getOrCreate(this.#byText, `${attributesId} ${peer} ${text}`, make));
  }

  clear(): void {
    for (const slot of this.#used) {
      this.#release(this.#results[slot] as number);
      this.#ids[slot] = 0;
    }
    this.#used.length = 0;
    for (const result of this.#byText.values()) this.#release(result);
    this.#byText.clear();
  }

  #retained(result: number): number {
    if (result !== 0) this.#attributes.retain(result);
    return result;
  }

  #release(result: number): void {
    if (result !== 0) this.#attributes.release(result);
  }
}
