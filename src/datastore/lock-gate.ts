import { keyText } from "../api/resource-key.ts";
import type { ClusterInformation } from "../api/resources/cluster-information.ts";
import { clusterInformationKey, locks } from "./cluster-lock.ts";
import type { SyncerCallbacks, Update } from "./syncer.ts";

/**
 * Passes a syncer's word on, but keeps it back while the datastore is locked: of each object the
 * last update, and that it is in sync. So what was told before the lock stays in force, and a program
 * that starts on a locked datastore is not in sync before it is unlocked (facts 2.8, D 67).
 *
 * The syncer must tell of ClusterInformation too.
 */
export function heldWhileLocked(
  receiver: SyncerCallbacks,
  onLock: (locked: boolean) => void,
): SyncerCallbacks {
  /** Undefined until the first listing has told. */
  let locked: boolean | undefined;
  const held = new Map<string, Update>();
  let inSync = false;

  const setLocked = (now: boolean) => {
    if (now !== (locked ?? false)) onLock(now);
    locked = now;
  };
  const pass = () => {
    if (locked !== false) return;
    const updates = [...held.values()];
    held.clear();
    if (updates.length > 0) receiver.onUpdates(updates);
    if (inSync) receiver.onStatus("in-sync");
    inSync = false;
  };

  return {
    onUpdates: (updates) => {
      // The usual: there may be a quarter of a million objects, and one of these.
      if (locked === false && !updates.some(({ key }) => key.kind === "ClusterInformation")) {
        receiver.onUpdates(updates);
        return;
      }
      for (const update of updates) {
        const text = keyText(update.key);
        const { value } = update;
        if (text === lockText) setLocked(value !== null && locks(value as ClusterInformation));
        // The order of the last updates is kept.
        held.delete(text);
        held.set(text, update);
      }
      pass();
    },
    onStatus: (status) => {
      if (status !== "in-sync") return receiver.onStatus(status);
      inSync = true;
      locked ??= false;
      pass();
    },
  };
}

const lockText = keyText(clusterInformationKey);
