import { getOrCreate } from "../../lib/collections.ts";
import type { DataplaneUpdate, UpdateKind } from "./updates.ts";

/** Kinds in dependency order: a kind may refer only to kinds before it (facts 4.1). */
export const updateOrder: readonly UpdateKind[] = [
  "ipSet",
  "policy",
  "profile",
  "workloadEndpoint",
  "hostEndpoint",
  "host",
  "pool",
  "serviceCidrs",
  "vtep",
  "wireguard",
  "route",
];

/**
 * Holds at most one pending update an object, so a slow dataplane costs memory in proportion to
 * objects, never to churn.
 */
export class EventSequencer {
  readonly #pending = new Map<UpdateKind, Map<string, DataplaneUpdate>>();
  readonly #sent = new Map<UpdateKind, Set<string>>();

  /** A `change` must not meet a pending update of its object: who offers it does so once a flush. */
  offer(update: DataplaneUpdate): void {
    getOrCreate(this.#pending, update.kind, () => new Map()).set(update.id, update);
  }

  /** Sets in dependency order, then removals in reverse: no dangling reference at any moment. */
  flush(): DataplaneUpdate[] {
    const updates = [
      ...updateOrder.flatMap((kind) => this.#take(kind, false)),
      ...updateOrder.toReversed().flatMap((kind) => this.#take(kind, true)),
    ];
    this.#pending.clear();
    return updates;
  }

  #take(kind: UpdateKind, removals: boolean): DataplaneUpdate[] {
    const sent = getOrCreate(this.#sent, kind, () => new Set());
    return [...(this.#pending.get(kind)?.values() ?? [])].filter((update) => {
      if ((update.op === "remove") !== removals) return false;
      if (!removals) return sent.add(update.id);
      // Made and gone between two flushes: the dataplane never knew it.
      return sent.delete(update.id);
    });
  }
}
