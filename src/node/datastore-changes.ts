import type { ResourceKey } from "../api/resource-key.ts";
import type { Kind } from "../api/resource-of-kind.ts";
import type { Datastore } from "../datastore/datastore.ts";
import { runSyncer } from "../datastore/reflector.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Service } from "../lib/service.ts";

export interface ChangeCallbacks {
  /** Whose changes count. */
  matters(key: ResourceKey): boolean;
  /** Something changed, or may have: not what. */
  onChange(): void;
}

/** Calls back once all objects of these kinds are known, and when some change, until `signal` aborts. */
export function onDatastoreChange(
  kinds: readonly Kind[],
  ports: { readonly datastore: Datastore; readonly clock: Clock; readonly log: Logger },
  { matters, onChange }: ChangeCallbacks,
): Service {
  return async (signal) => {
    let isInSync = false;
    const callbacks = {
      onUpdates: (updates: readonly { readonly key: ResourceKey }[]) => {
        if (isInSync && updates.some(({ key }) => matters(key))) onChange();
      },
      onStatus: (status: string) => {
        if (status !== "in-sync") return;
        isInSync = true;
        onChange();
      },
    };
    await runSyncer({ kinds }, { ...ports, callbacks }, signal);
  };
}
