import type { Kind } from "../../../../src/api/resource-of-kind.ts";
import type { IPPool } from "../../../../src/api/resources/ip-pool.ts";
import {
  type Datastore,
  DatastoreError,
  type WatchEvent,
} from "../../../../src/datastore/datastore.ts";
import { runSyncer } from "../../../../src/datastore/reflector.ts";
import type { SharedKinds, SyncStatus, Update } from "../../../../src/datastore/syncer.ts";
import type { Clock } from "../../../../src/lib/clock.ts";
import { MemoryDatastore } from "../../../support/memory-datastore.ts";

export const pool = (name: string, cidr = "10.0.0.0/8"): IPPool => ({
  apiVersion: "projectcalico.org/v3",
  kind: "IPPool",
  metadata: { name },
  spec: { cidr },
});

/** A datastore that counts its lists, and shares what it is told to. */
export class CountedDatastore extends MemoryDatastore {
  lists = 0;
  gets = 0;
  readonly #cut = new AbortController();
  shared?: SharedKinds;

  override list: Datastore["list"] = async (kind, options) => {
    this.lists++;
    return (await MemoryDatastore.prototype.list.call(this, kind, options)) as never;
  };

  override get: Datastore["get"] = async (key) => {
    this.gets++;
    return (await MemoryDatastore.prototype.get.call(this, key)) as never;
  };

  /** From now on it tells of no changes. */
  cut(): void {
    this.#cut.abort();
  }

  override async *watch(
    ...[kinds, revision, signal]: Parameters<Datastore["watch"]>
  ): AsyncIterable<WatchEvent> {
    yield* super.watch(kinds, revision, AbortSignal.any([signal, this.#cut.signal]));
    if (!signal.aborted) throw new DatastoreError("away", { code: "unavailable" });
  }
}

/** What one syncer was told: names that are there, and its last status. */
export interface Follower {
  readonly names: Set<string>;
  readonly statuses: SyncStatus[];
  /** Names that it was told when it was in sync already. */
  readonly late: string[];
  readonly ended: Promise<void>;
}

export function follower(
  datastore: Datastore,
  kinds: readonly Kind[],
  {
    clock,
    signal,
    onUpdate,
  }: {
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly onUpdate?: (update: Update) => void;
  },
): Follower {
  const names = new Set<string>();
  const statuses: SyncStatus[] = [];
  const late: string[] = [];
  const onUpdates = (updates: readonly Update[]) => {
    for (const update of updates) {
      onUpdate?.(update);
      if (statuses.at(-1) === "in-sync") late.push(update.key.name);
      if (update.value === null) names.delete(update.key.name);
      else names.add(update.key.name);
    }
  };
  const onStatus = (status: SyncStatus) => void statuses.push(status);
  const callbacks = { onUpdates, onStatus };
  const ended = runSyncer({ kinds }, { datastore, clock, callbacks }, signal);
  return { names, statuses, late, ended };
}
