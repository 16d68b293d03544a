import type { ResourceKey } from "../api/resource-key.ts";
import type { Kind, ResourceOfKind } from "../api/resource-of-kind.ts";

/**
 * What the datastore says of one key: the object, or null when it is absent. Absent means deleted,
 * never there, or invalid: receivers need not care. Values may repeat and may be stale; the last
 * one is right. Nothing else is promised.
 */
export interface Update {
  readonly key: ResourceKey;
  readonly value: ResourceOfKind[Kind] | null;
}

export type SyncStatus = "waiting" | "resyncing" | "in-sync";

export interface SyncerCallbacks {
  onUpdates(updates: readonly Update[]): void;
  onStatus(status: SyncStatus): void;
}
