import type { ResourceKey } from "../api/resource-key.ts";
import { keyOf } from "../api/resource-key.ts";
import type { Kind, ResourceOfKind } from "../api/resource-of-kind.ts";
import type { WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import type { Datastore } from "../datastore/datastore.ts";
import { runSyncer } from "../datastore/reflector.ts";
import type { Update } from "../datastore/syncer.ts";
import { watchTables } from "../kernel/iptables/watch-tables.ts";
import type { Clock } from "../lib/clock.ts";
import { PacedRunner } from "../lib/paced-runner.ts";
import { runServices } from "../lib/service.ts";
import { CalcGraph, calcKinds, endpointId } from "./calc/calc-graph.ts";
import type { FelixConfig } from "./config.ts";
import { Dataplane, type DataplanePorts } from "./dataplane/dataplane.ts";

export interface FelixPorts extends DataplanePorts {
  readonly datastore: Datastore;
  readonly clock: Clock;
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
  readonly #waiters = new Set<() => void>();
  #inSync = false;
  #firstApply: (() => void) | undefined;
  /** Resolves when the kernel was made right for the first time. */
  readonly ready: Promise<void>;

  constructor(nodeName: string, config: FelixConfig, ports: FelixPorts) {
    this.#config = config;
    this.#ports = ports;
    this.#calc = new CalcGraph({ nodeName });
    this.#dataplane = new Dataplane(nodeName, config, ports);
    const maxIntervalMs = Math.min(
      ...[config.routeRefreshMs, config.ipSetsRefreshMs, config.iptablesRefreshMs].map((ms) =>
        ms === 0 ? Number.POSITIVE_INFINITY : ms,
      ),
    );
    this.#runner = new PacedRunner({ ...pacing, maxIntervalMs }, ports.clock);
    this.ready = new Promise((resolve) => {
      this.#firstApply = resolve;
    });
  }

  /** What the datastore will say too, sooner. A later word of the datastore replaces it. */
  offerEndpoint(endpoint: WorkloadEndpoint): void {
    this.#calc.update(keyOf(endpoint), endpoint);
    this.#runner.request();
  }

  withdrawEndpoint(key: ResourceKey<"WorkloadEndpoint">): void {
    this.#calc.update(key, null);
    this.#runner.request();
  }

  /** Resolves when the endpoint's routes and policy are in the kernel; rejects as `signal` says. */
  async endpointProgrammed(
    key: ResourceKey<"WorkloadEndpoint">,
    signal: AbortSignal,
  ): Promise<void> {
    while (!this.#dataplane.isProgrammed(endpointId(key))) {
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
    return runSyncer(
      { kinds: calcKinds, decode: this.#ports.decode },
      {
        datastore,
        clock,
        log,
        callbacks: {
          onUpdates: (updates) => this.#onUpdates(updates),
          onStatus: (status) => {
            log.info({ status }, "datastore sync");
            if (status !== "in-sync") return;
            this.#inSync = true;
            this.#calc.setInSync();
            this.#runner.request();
          },
        },
      },
      signal,
    );
  }

  #onUpdates(updates: readonly Update[]): void {
    for (const { key, value } of updates) this.#calc.update(key, value);
    if (this.#inSync) this.#runner.request();
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

  #lastApply = 0;

  async #apply(): Promise<void> {
    if (!this.#inSync) return;
    const { clock, log } = this.#ports;
    const updates = this.#calc.flush();
    this.#dataplane.onUpdates(updates);
    const idle =
      updates.length === 0 && clock.now() - this.#lastApply >= this.#config.routeRefreshMs;
    if (idle && this.#config.routeRefreshMs > 0) this.#dataplane.resync();
    const started = clock.now();
    await this.#dataplane.apply();
    this.#lastApply = clock.now();
    log.debug(
      { updates: updates.length, milliseconds: clock.now() - started },
      "dataplane applied",
    );
    this.#firstApply?.();
    for (const waiter of [...this.#waiters]) waiter();
  }
}
