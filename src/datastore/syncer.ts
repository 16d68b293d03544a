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

export interface SyncerConfig {
  readonly kinds: readonly Kind[];
  /** Turns an object into what receivers see; null when it is invalid, which is told as absent. */
  readonly decode?: (resource: ResourceOfKind[Kind]) => ResourceOfKind[Kind] | null;
}

/** Kinds that a process follows once, for all who want them. */
export interface SharedKinds {
  has(kind: Kind): boolean;
  /** As a syncer: everything first, then every change, until `signal` aborts. @throws what a receiver threw. */
  follow(kinds: readonly Kind[], callbacks: SyncerCallbacks, signal: AbortSignal): Promise<void>;
}
