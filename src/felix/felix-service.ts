import type { ResourceKey } from "../api/resource-key.ts";
import { keyOf } from "../api/resource-key.ts";
import type { Kind, ResourceOfKind } from "../api/resource-of-kind.ts";
import type { WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import type { Datastore } from "../datastore/datastore.ts";
import { heldWhileLocked } from "../datastore/lock-gate.ts";
import { runSyncer } from "../datastore/reflector.ts";
import type { Update } from "../datastore/syncer.ts";
import { watchTables } from "../kernel/iptables/watch-tables.ts";
import { PacedRunner } from "../lib/paced-runner.ts";
import { runServices } from "../lib/service.ts";
import { CalcGraph, calcKinds, endpointId } from "./calc/calc-graph.ts";
import { calculate } from "./calculate.ts";
import type { FelixConfig } from "./config.ts";
import { Dataplane, type DataplanePorts } from "./dataplane/dataplane.ts";
import { OfferedEndpoints } from "./offered-endpoints.ts";

export interface FelixPorts extends DataplanePorts {
  readonly datastore: Datastore;
  /** What the datastore holds, if it is valid. */
  decode(resource: ResourceOfKind[Kind]): ResourceOfKind[Kind] | null;
}

const pacing = { minIntervalMs: 5, retryIntervalMs: 1_000 };

/**
 * felix of one node: datastore to calculation graph to kernel, and the door by which the CNI agent
 * brings an endpoint in before the datastore does.
 */
export class Felix {
  readonly #config: FelixConfig;
  readonly #ports: FelixPorts;
  readonly #calc: CalcGraph;
  readonly #dataplane: Dataplane;
  readonly #runner: PacedRunner;
  readonly #offered: OfferedEndpoints;
  readonly #waiters = new Set<() => void>();
  readonly #refreshMs: number;
  #lastResync: number | undefined;
  /** Number of the apply that began last, and of the one that ended last. */
  #applies = 0;
  #finished = 0;
  #inSync = false;
  #firstApply: (() => void) | undefined;
  /** Resolves when the kernel was made right for the first time. */
  readonly ready: Promise<void>;

  constructor(nodeName: string, config: FelixConfig, ports: FelixPorts) {
    this.#config = config;
    this.#ports = ports;
    this.#calc = new CalcGraph({ nodeName });
    this.#dataplane = new Dataplane(nodeName, config, ports);
    this.#refreshMs = refreshInterval(config);
    this.#runner = new PacedRunner({ ...pacing, maxIntervalMs: this.#refreshMs }, ports.clock);
    this.#offered = new OfferedEndpoints(ports.clock, ({ key, value }) => {
      this.#calc.update(key, value);
      this.#runner.request();
    });
    this.ready = new Promise((resolve) => {
      this.#firstApply = resolve;
    });
  }

  /** What the datastore will say too, sooner. */
  offerEndpoint(endpoint: WorkloadEndpoint): void {
    this.#offered.offer(keyOf(endpoint), endpoint);
  }

  withdrawEndpoint(key: ResourceKey<"WorkloadEndpoint">): void {
    this.#offered.offer(key, null);
  }

  /** Resolves when the endpoint's routes and policy are in the kernel; rejects as `signal` says. */
  async endpointProgrammed(
    key: ResourceKey<"WorkloadEndpoint">,
    signal: AbortSignal,
  ): Promise<void> {
    // Only an apply that begins from now on knows of what was offered until now.
    const enough = this.#applies + 1;
    this.#runner.request();
    while (this.#finished < enough || !this.#dataplane.isProgrammed(endpointId(key))) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        const done = () => {
          this.#waiters.delete(done);
          signal.removeEventListener("abort", done);
          resolve();
        };
        this.#waiters.add(done);
        signal.addEventListener("abort", done, { once: true });
      });
    }
  }

  /** Runs until `signal` aborts. The kernel stays as it is. */
  async run(signal: AbortSignal): Promise<void> {
    const { kernel, log } = this.#ports;
    signal.addEventListener("abort", () => this.#offered.close(), { once: true });
    await runServices(
      [
        (stop) => this.#sync(stop),
        (stop) =>
          kernel.monitor((events) => {
            if (this.#dataplane.onKernelEvents(events)) this.#runner.request();
          }, stop),
        (stop) => this.#watchRules(stop),
        (stop) =>
          this.#runner.start(
            () => this.#apply(),
            (err) => log.warn({ err }, "dataplane apply failed"),
            stop,
          ),
      ],
      signal,
    );
  }

  #sync(signal: AbortSignal): Promise<void> {
    const { datastore, clock, log } = this.#ports;
    const callbacks = heldWhileLocked(
      {
        onUpdates: (updates) => this.#onUpdates(updates),
        onStatus: (status) => {
          log.info({ status }, "datastore sync");
          if (status !== "in-sync") return;
          this.#inSync = true;
          this.#calc.setInSync();
          this.#runner.request();
        },
      },
      (locked) => log.warn({ locked }, "datastore lock: the dataplane stays as it is while locked"),
    );
    return runSyncer(
      { kinds: ["ClusterInformation", ...calcKinds], decode: this.#ports.decode },
      { datastore, clock, log, callbacks },
      signal,
    );
  }

  #onUpdates(updates: readonly Update[]): void {
    for (const update of updates) this.#offered.take(update);
  }

  #watchRules(signal: AbortSignal): Promise<void> {
    const { backend, clock, log } = this.#ports;
    return watchTables(
      this.#dataplane.ruleTables,
      {
        backend,
        clock,
        onStale: () => this.#runner.request(),
        onError: (err) => log.warn({ err }, "iptables watch failed"),
        ...(backend.kind === "nft" && this.#config.iptablesRefreshMs > 0
          ? { pollMs: this.#config.iptablesRefreshMs }
          : {}),
      },
      signal,
    );
  }

  async #apply(): Promise<void> {
    if (!this.#inSync) return;
    const { clock, log } = this.#ports;
    const started = clock.now();
    const number = ++this.#applies;
    const updates = await calculate(this.#calc, clock);
    this.#dataplane.onUpdates(updates);
    this.#lastResync ??= started;
    if (started - this.#lastResync >= this.#refreshMs) {
      this.#lastResync = started;
      this.#dataplane.resync();
      log.debug({}, "dataplane compared with the kernel");
    }
    try {
      await this.#dataplane.apply();
      this.#firstApply?.();
    } finally {
      this.#finished = number;
      const milliseconds = clock.now() - started;
      log.debug({ updates: updates.length, milliseconds }, "dataplane applied");
      // What failed for one endpoint may have gone well for another.
      for (const waiter of this.#waiters) waiter();
    }
  }
}

/** The shortest of the refresh intervals; one of 0 is switched off. */
function refreshInterval(config: FelixConfig): number {
  const { routeRefreshMs, ipSetsRefreshMs, iptablesRefreshMs } = config;
  const given = [routeRefreshMs, ipSetsRefreshMs, iptablesRefreshMs].filter((ms) => ms > 0);
  return Math.min(Number.POSITIVE_INFINITY, ...given);
}
