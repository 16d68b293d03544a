import { runServices } from "../lib/service.ts";
import type { Datastore } from "./datastore.ts";
import { type ListAndWatchPorts, listAndWatch } from "./list-and-watch.ts";
import type { SyncerCallbacks, SyncerConfig, SyncStatus } from "./syncer.ts";

export type { SyncerConfig };

export interface SyncerPorts extends Omit<ListAndWatchPorts, "datastore" | "onWatching"> {
  readonly datastore: Datastore;
}

/**
 * Tells everything of some kinds, then every change, until `signal` aborts (facts 2.2). Kinds that the datastore
 * shares are told by the syncer that all share; others are listed and watched for this one.
 *
 * @throws what a receiver threw: it may have missed an update.
 */
export async function runSyncer(
  config: SyncerConfig,
  ports: SyncerPorts,
  signal: AbortSignal,
): Promise<void> {
  const { shared } = ports.datastore;
  const common = config.kinds.filter((kind) => shared?.has(kind) === true);
  if (shared === undefined || common.length === 0) return await listAndWatch(config, ports, signal);
  const own = config.kinds.filter((kind) => !common.includes(kind));
  const joined = new JoinedStatus(ports.callbacks, own.length === 0 ? 1 : 2);
  const { decode = (resource) => resource } = config;
  const ofShared: SyncerCallbacks = {
    onUpdates: (updates) =>
      ports.callbacks.onUpdates(
        updates.map(({ key, value }) => ({ key, value: value === null ? null : decode(value) })),
      ),
    onStatus: joined.part(),
  };
  const services = [(stop: AbortSignal) => shared.follow(common, ofShared, stop)];
  if (own.length > 0) {
    const { onUpdates } = ports.callbacks;
    const callbacks = { onUpdates: onUpdates.bind(ports.callbacks), onStatus: joined.part() };
    services.push((stop) => listAndWatch({ ...config, kinds: own }, { ...ports, callbacks }, stop));
  }
  await runServices(services, signal);
}

const steps: readonly SyncStatus[] = ["waiting", "resyncing", "in-sync"];

/** Of several syncers that are one to their receiver: as far as the one that is least far. */
class JoinedStatus {
  readonly #callbacks: SyncerCallbacks;
  readonly #parts: number[];
  #joined = 0;
  #told = -1;

  constructor(callbacks: SyncerCallbacks, parts: number) {
    this.#callbacks = callbacks;
    this.#parts = Array.from({ length: parts }, () => 0);
  }

  part(): (status: SyncStatus) => void {
    const index = this.#joined++;
    return (status) => {
      this.#parts[index] = steps.indexOf(status);
      const least = Math.min(...this.#parts);
      if (least === this.#told) return;
      this.#told = least;
      this.#callbacks.onStatus(steps[least] as SyncStatus);
    };
  }
}
