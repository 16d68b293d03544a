import { getOrCreate } from "../../lib/collections.ts";
import type { RouteOperation } from "../policy/peer-policy.ts";
import { applyOperations } from "../policy/route-operations.ts";
import type { AttributeStore } from "../rib/attribute-store.ts";

/**
 * Attributes as import policy has changed them. What was received stays as it is in the Adj-RIB-In;
 * the Loc-RIB and the peers get these. Each set is made once a batch, and both it and what it was
 * made of are kept until the batch ends: by then the Loc-RIB has taken what it wants.
 */
export class ChangedAttributes {
  readonly #attributes: AttributeStore;
  /** By the operations, which are as many as the rules of all filters, then by the received id. */
  readonly #batch = new Map<string, Map<number, number>>();

  constructor(attributes: AttributeStore) {
    this.#attributes = attributes;
  }

  /** Id of the received attributes after `operations`, valid until the batch ends. */
  idOf(receivedId: number, operations: readonly RouteOperation[]): number {
    if (operations.length === 0) return receivedId;
    const made = getOrCreate(this.#batch, JSON.stringify(operations), () => new Map());
    return getOrCreate(made, receivedId, () => {
      const { attributes, nextHop } = this.#attributes.get(receivedId);
      this.#attributes.retain(receivedId);
      return this.#attributes.intern(applyOperations(attributes, operations), nextHop);
    });
  }

  endBatch(): void {
    for (const made of this.#batch.values()) {
      for (const ids of made) for (const id of ids) this.#attributes.release(id);
    }
    this.#batch.clear();
  }
}
