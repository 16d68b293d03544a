import { keyText, type ResourceKey } from "../../api/resource-key.ts";
import type { Kind, ResourceOfKind } from "../../api/resource-of-kind.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import type { Datastore } from "../datastore.ts";
import { listAndWatch } from "../list-and-watch.ts";
import type { SharedKinds, SyncerCallbacks, SyncStatus, Update } from "../syncer.ts";

/** Few objects each, of the whole cluster, which several parts of a node follow. */
export const sharedKinds = [
  "BGPConfiguration",
  "ClusterInformation",
  "FelixConfiguration",
  "IPPool",
  "Node",
] as const;

export interface FeedPorts {
  readonly datastore: Pick<Datastore, "list" | "watch" | "follow">;
  readonly clock: Clock;
  readonly log?: Logger;
}

/** Updates that a newcomer is told at once, at most. */
const batchSize = 100;

interface Receiver {
  readonly kinds: ReadonlySet<Kind>;
  readonly callbacks: SyncerCallbacks;
  readonly fail: (error: unknown) => void;
}

/**
 * Follows some kinds once, for all who want them, and keeps a copy for those who come later. It begins
 * with the first of them and goes on until it is closed.
 */
export class SharedFeed implements SharedKinds {
  readonly #kinds: ReadonlySet<Kind>;
  readonly #ports: FeedPorts;
  readonly #objects = new Map<string, Update & { readonly value: ResourceOfKind[Kind] }>();
  readonly #receivers = new Set<Receiver>();
  readonly #closed = new AbortController();
  #running: Promise<void> | undefined;
  #status: SyncStatus = "waiting";
  #isWatching: boolean | undefined;
  #change = Promise.withResolvers<void>();

  constructor(kinds: readonly Kind[], ports: FeedPorts) {
    this.#kinds = new Set(kinds);
    this.#ports = ports;
  }

  has(kind: Kind): boolean {
    return this.#kinds.has(kind);
  }

  /** The copy is all that there is, but for what is on its way. */
  get isCurrent(): boolean {
    return this.#isWatching === true;
  }

  /** It was told everything once, or the datastore has failed to. */
  get hasBegun(): boolean {
    return this.#isWatching !== undefined;
  }

  /** Resolves when something becomes known: objects, a status, or that the datastore does not answer. */
  get changed(): Promise<void> {
    this.#start();
    return this.#change.promise;
  }

  find(key: ResourceKey): ResourceOfKind[Kind] | undefined {
    return this.#objects.get(keyText(key))?.value;
  }

  /** In no order. */
  objects(kind: Kind): ResourceOfKind[Kind][] {
    return [...this.#objects.values()]
      .filter(({ key }) => key.kind === kind)
      .map(({ value }) => value);
  }

  async follow(
    kinds: readonly Kind[],
    callbacks: SyncerCallbacks,
    signal: AbortSignal,
  ): Promise<void> {
    const broken = Promise.withResolvers<void>();
    const stop = AbortSignal.any([signal, this.#closed.signal]);
    const end = () => broken.resolve();
    const fail = (error: unknown) => {
      this.#receivers.delete(receiver);
      broken.reject(error);
    };
    const receiver: Receiver = { kinds: new Set(kinds), callbacks, fail };
    this.#start();
    try {
      if (stop.aborted) return;
      stop.addEventListener("abort", end, { once: true });
      this.#welcome(receiver);
      this.#receivers.add(receiver);
      await broken.promise;
    } finally {
      stop.removeEventListener("abort", end);
      this.#receivers.delete(receiver);
    }
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#running;
  }

  #start(): void {
    this.#running ??= listAndWatch(
      { kinds: [...this.#kinds] },
      {
        ...this.#ports,
        callbacks: {
          onUpdates: (updates) => this.#onUpdates(updates),
          onStatus: (status) => this.#onStatus(status),
        },
        onWatching: (isWatching) => {
          this.#isWatching = isWatching;
          this.#tellChange();
        },
      },
      this.#closed.signal,
    );
  }

  #onUpdates(updates: readonly Update[]): void {
    for (const { key, value } of updates) {
      if (value === null) this.#objects.delete(keyText(key));
      else this.#objects.set(keyText(key), { key, value });
    }
    for (const receiver of this.#receivers) tell(receiver, updates);
    this.#tellChange();
  }

  #onStatus(status: SyncStatus): void {
    this.#status = status;
    for (const { callbacks, fail } of this.#receivers) {
      attempt(() => callbacks.onStatus(status), fail);
    }
    this.#tellChange();
  }

  /** What is known, and how far that is. */
  #welcome({ kinds, callbacks }: Receiver): void {
    callbacks.onStatus("waiting");
    if (this.#status === "waiting") return;
    callbacks.onStatus("resyncing");
    const wanted = [...this.#objects.values()].filter(({ key }) => kinds.has(key.kind));
    for (let at = 0; at < wanted.length; at += batchSize) {
      callbacks.onUpdates(wanted.slice(at, at + batchSize));
    }
    if (this.#status === "in-sync") callbacks.onStatus("in-sync");
  }

  #tellChange(): void {
    const { resolve } = this.#change;
    this.#change = Promise.withResolvers<void>();
    resolve();
  }
}

function tell({ kinds, callbacks, fail }: Receiver, updates: readonly Update[]): void {
  const wanted = updates.filter(({ key }) => kinds.has(key.kind));
  if (wanted.length > 0) attempt(() => callbacks.onUpdates(wanted), fail);
}

/** One receiver's failure is not the others'. */
function attempt(call: () => void, fail: (error: unknown) => void): void {
  try {
    call();
  } catch (error) {
    fail(error);
  }
}
