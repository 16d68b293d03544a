import { keyOf, keyText, type ResourceKey } from "../api/resource-key.ts";
import type { Kind, ResourceOfKind } from "../api/resource-of-kind.ts";
import { Backoff } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { type Datastore, isDatastoreError, type WatchEvent } from "./datastore.ts";
import type { SyncerCallbacks, Update } from "./syncer.ts";

export interface SyncerConfig {
  readonly kinds: readonly Kind[];
  /** Turns an object into what receivers see; null when it is invalid, which is told as absent. */
  readonly decode?: (resource: ResourceOfKind[Kind]) => ResourceOfKind[Kind] | null;
}

export interface SyncerPorts {
  readonly datastore: Datastore;
  readonly callbacks: SyncerCallbacks;
  readonly clock: Clock;
  readonly log?: Logger;
}

const retry = { minMs: 100, maxMs: 5_000 };
/** Updates that are told at once. */
const batchSize = 100;

/**
 * Tells everything of some kinds, then every change, until `signal` aborts (facts 2.2).
 *
 * After a failure it goes on from the last revision seen, or lists again and tells what is gone. A
 * failure itself tells nothing: receivers keep what they have.
 */
export async function runSyncer(
  config: SyncerConfig,
  ports: SyncerPorts,
  signal: AbortSignal,
): Promise<void> {
  const syncer = new Syncer(config, ports);
  const backoff = new Backoff(retry);
  ports.callbacks.onStatus("waiting");
  while (!signal.aborted) {
    try {
      await syncer.follow(signal, () => backoff.reset());
    } catch (error) {
      if (signal.aborted) return;
      const compacted = isDatastoreError(error, "compacted");
      if (compacted) syncer.forgetRevision();
      ports.log?.warn({ err: error, compacted }, "datastore watch ended");
      await ports.clock.sleep(backoff.next(), signal).catch(() => undefined);
    }
  }
}

class Syncer {
  readonly #config: SyncerConfig;
  readonly #ports: SyncerPorts;
  /** What receivers were told is there. */
  readonly #known = new Map<string, ResourceKey>();
  #revision: string | undefined;
  #inSync = false;

  constructor(config: SyncerConfig, ports: SyncerPorts) {
    this.#config = config;
    this.#ports = ports;
  }

  /** The next `follow` lists everything again. */
  forgetRevision(): void {
    this.#revision = undefined;
  }

  async follow(signal: AbortSignal, onProgress: () => void): Promise<void> {
    const { datastore } = this.#ports;
    this.#revision ??= await this.#listAll();
    onProgress();
    for await (const event of datastore.watch(this.#config.kinds, this.#revision, signal)) {
      onProgress();
      this.#take(event);
    }
  }

  /** @returns the revision from which a watch misses nothing: the oldest of the lists. */
  async #listAll(): Promise<string> {
    const { datastore, callbacks } = this.#ports;
    if (!this.#inSync) callbacks.onStatus("resyncing");
    const lists = await Promise.all(this.#config.kinds.map((kind) => datastore.list(kind)));
    const resources = lists.flatMap(({ items }) => items as readonly ResourceOfKind[Kind][]);
    const seen = new Set(resources.map((resource) => keyText(keyOf(resource))));
    const gone = [...this.#known].filter(([text]) => !seen.has(text)).map(([, key]) => key);
    this.#tell([
      ...gone.map((key): Update => ({ key, value: null })),
      ...resources.map((resource) => this.#updateOf(resource)),
    ]);
    if (!this.#inSync) {
      this.#inSync = true;
      callbacks.onStatus("in-sync");
    }
    return lists.map(({ revision }) => revision).reduce(older);
  }

  #take(event: WatchEvent): void {
    this.#revision = event.revision;
    if (event.kind === "set") this.#tell([this.#updateOf(event.resource)]);
    else if (event.kind === "deleted") this.#tell([{ key: event.key, value: null }]);
  }

  #updateOf(resource: ResourceOfKind[Kind]): Update {
    const value = this.#config.decode === undefined ? resource : this.#config.decode(resource);
    return { key: keyOf(resource), value };
  }

  #tell(updates: readonly Update[]): void {
    for (const { key, value } of updates) {
      if (value === null) this.#known.delete(keyText(key));
      else this.#known.set(keyText(key), key);
    }
    for (let start = 0; start < updates.length; start += batchSize) {
      this.#ports.callbacks.onUpdates(updates.slice(start, start + batchSize));
    }
  }
}

/** Revisions of one datastore are numbers in text. */
function older(a: string, b: string): string {
  return BigInt(a) <= BigInt(b) ? a : b;
}
