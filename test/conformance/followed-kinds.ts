import type { Kind } from "../../src/api/resource-of-kind.ts";
import {
  type Datastore,
  DatastoreError,
  type ListOptions,
  type WatchEvent,
} from "../../src/datastore/datastore.ts";
import { runSyncer } from "../../src/datastore/reflector.ts";
import type { SyncStatus, Update } from "../../src/datastore/syncer.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { aborted } from "../../src/lib/service.ts";
import { waitFor } from "../support/wait-for.ts";

/** A server that starts again on a machine with other work may take this long. */
const patience = { timeoutMs: 60_000 };

/** A syncer and what it has told. */
export class FollowedKinds {
  /** Names told as absent, each once, in order. */
  readonly withdrawn: string[] = [];
  readonly statuses: SyncStatus[] = [];
  readonly #present = new Set<string>();
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #failures = 0;

  constructor(kinds: readonly Kind[], datastore: Datastore) {
    const watched = counting(datastore, () => this.#failures++);
    const callbacks = {
      onUpdates: (updates: readonly Update[]) => this.#take(updates),
      onStatus: (status: SyncStatus) => this.statuses.push(status),
    };
    const ports = { datastore: watched, clock: systemClock, callbacks };
    this.#running = runSyncer({ kinds }, ports, this.#stop.signal);
  }

  async inSync(): Promise<void> {
    await waitFor(() => this.statuses.at(-1) === "in-sync", { ...patience, what: "in-sync" });
  }

  /** Waits until a watch or a list has failed. */
  async watchFailed(): Promise<void> {
    await waitFor(() => this.#failures > 0, { ...patience, what: "a failure" });
  }

  async tells(name: string, present: boolean): Promise<void> {
    const what = `${name} ${present ? "present" : "absent"}`;
    await waitFor(() => this.#present.has(name) === present, { ...patience, what });
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  #take(updates: readonly Update[]): void {
    for (const { key, value } of updates) {
      if (value !== null) this.#present.add(key.name);
      else if (this.#present.delete(key.name)) this.withdrawn.push(key.name);
    }
  }
}

/**
 * A datastore whose watches can be made to hear nothing, as over a broken line: those under way end, and new ones
 * wait in vain until the line is whole.
 */
export function deafable(datastore: Datastore): {
  readonly datastore: Datastore;
  stopListening(): void;
  listenAgain(): void;
} {
  let line = new AbortController();
  let mended = new AbortController();
  const watch: Datastore["watch"] = async function* (kinds, revision, signal) {
    const { signal: cut } = line;
    if (!cut.aborted) yield* datastore.watch(kinds, revision, AbortSignal.any([signal, cut]));
    else await aborted(AbortSignal.any([signal, mended.signal]));
    if (!signal.aborted) throw new DatastoreError("the line is cut", { code: "unavailable" });
  };
  return {
    datastore: withWatch(datastore, watch),
    stopListening: () => {
      mended = new AbortController();
      line.abort();
    },
    listenAgain: () => {
      line = new AbortController();
      mended.abort();
    },
  };
}

function counting(datastore: Datastore, onFailure: () => void): Datastore {
  return withWatch(datastore, async function* (kinds, revision, signal) {
    try {
      yield* datastore.watch(kinds, revision, signal);
    } catch (error) {
      onFailure();
      throw error;
    }
  });
}

function withWatch(
  datastore: Datastore,
  watch: (...asked: Parameters<Datastore["watch"]>) => AsyncIterable<WatchEvent>,
): Datastore {
  return {
    get: (key) => datastore.get(key),
    list: (kind, options?: ListOptions) => datastore.list(kind, options),
    create: (resource) => datastore.create(resource),
    update: (resource) => datastore.update(resource),
    delete: (key, resourceVersion) => datastore.delete(key, resourceVersion),
    watch,
    close: () => datastore.close(),
  };
}
