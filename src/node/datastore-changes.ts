import type { Kind } from "../api/resource-of-kind.ts";
import type { Datastore, WatchEvent } from "../datastore/datastore.ts";
import { Backoff } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import type { Service } from "../lib/service.ts";

export interface ChangeCallbacks {
  /** Which changes count. */
  matters(change: Exclude<WatchEvent, { kind: "progress" }>): boolean;
  /** Something changed, or may have: not what. */
  onChange(): void;
}

/**
 * Calls back at the start, after every failure, and when objects of these kinds change. Watches
 * until `signal` aborts.
 */
export function onDatastoreChange(
  kinds: readonly [Kind, ...Kind[]],
  ports: { readonly datastore: Datastore; readonly clock: Clock },
  { matters, onChange }: ChangeCallbacks,
): Service {
  return async (signal) => {
    const pauses = new Backoff({ minMs: 500, maxMs: 30_000 });
    while (!signal.aborted) {
      try {
        const { revision } = await ports.datastore.list(kinds[0]);
        onChange();
        for await (const event of ports.datastore.watch(kinds, revision, signal)) {
          pauses.reset();
          if (event.kind !== "progress" && matters(event)) onChange();
        }
      } catch {
        // Compacted or unavailable: the next round lists again, which is all that can be done.
      }
      await ports.clock.sleep(pauses.next(), signal).catch(() => undefined);
    }
  };
}
