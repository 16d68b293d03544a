import type { ResourceKey } from "../api/resource-key.ts";
import { keyOf } from "../api/resource-key.ts";
import type { Kind, ResourceOfKind } from "../api/resource-of-kind.ts";
import type { WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import type { Datastore } from "../datastore/datastore.ts";
import { heldWhileLocked } from "../datastore/lock-gate.ts";
import { runSyncer } from "../datastore/reflector.ts";
import type { Update } from "../datastore/syncer.ts";
import { watchTables } from "../kernel/iptables/watch-tables.ts";
import type { NflogGroups } from "../kernel/nflog.ts";
import type { Millis } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import { LogTail } from "../lib/log-tail.ts";
import { PacedRunner } from "../lib/paced-runner.ts";
import { runServices } from "../lib/service.ts";
import { CalcGraph, calcKinds, endpointId } from "./calc/calc-graph.ts";
import { calculate } from "./calculate.ts";
import type { FelixConfig } from "./config/felix-config.ts";
import { Dataplane, type DataplanePorts } from "./dataplane/dataplane.ts";
import { DenialLog } from "./denials/denial-log.ts";
import type { FelixHealth, HealthPart } from "./health/felix-health.ts";
import { type DeniedLabels, FelixCounters } from "./metrics/felix-counters.ts";
import type { FelixSizes } from "./metrics/felix-metrics.ts";
import { OfferedEndpoints } from "./offered-endpoints.ts";
import { KeyPublisher } from "./publish-keys.ts";
import { RefreshTimers } from "./refresh-timers.ts";

export interface FelixPorts extends DataplanePorts {
  /** Where NFLOG rules tell of denied packets. */
  readonly nflog?: NflogGroups;
  readonly datastore: Datastore;
  /** Outlive this Felix. */
  readonly counters?: FelixCounters;
  /** What the datastore holds, if it is valid. */
  decode(resource: ResourceOfKind[Kind]): ResourceOfKind[Kind] | null;
}

const pacing = { minIntervalMs: 1, retryIntervalMs: 1_000 };

/**
 * felix of one node: datastore to calculation graph to kernel, and the door by which the CNI agent
 * brings an endpoint in before the datastore does.
 */
export class Felix {
  readonly #config: FelixConfig;
  readonly #ports: FelixPorts;
  readonly #counters: FelixCounters;
  readonly #calc: CalcGraph;
  readonly #dataplane: Dataplane;
  readonly #runner: PacedRunner;
  readonly #offered: OfferedEndpoints;
  readonly #waiters = new Set<() => void>();
  /** By endpoint: the number of the first apply that knows what was offered of it last. */
  readonly #knownFrom = new Map<string, number>();
  readonly #refresh: RefreshTimers;
  readonly #keys: KeyPublisher;
  /** Number of the apply that began last, and of the one that ended last. */
  #applies = 0;
  #finished = 0;
  #inSync = false;
  #isApplied = false;
  readonly #began: Millis;
  readonly #busySince = new Map<HealthPart, Millis>();
  #firstApply: (() => void) | undefined;
  #cancelDue: () => void = () => undefined;
  /** Packets that policy denied, as lines of JSON. */
  readonly denials: LogTail = new LogTail();
  /** Resolves when the kernel was made right for the first time. */
  readonly ready: Promise<void>;

  constructor(nodeName: string, config: FelixConfig, ports: FelixPorts) {
    this.#config = config;
    this.#ports = ports;
    this.#counters = ports.counters ?? new FelixCounters();
    this.#began = ports.clock.now();
    const onInvalid = ({ kind, namespace, name }: ResourceKey, error: unknown) =>
      ports.log.warn({ kind, namespace, name, reason: errorMessage(error) }, "resource ignored");
    this.#calc = new CalcGraph({ nodeName, routeSource: config.routeSource, onInvalid });
    this.#dataplane = new Dataplane(nodeName, config, ports);
    this.#refresh = new RefreshTimers(config.refreshMs);
    this.#keys = new KeyPublisher(nodeName, ports);
    const maxIntervalMs = this.#refresh.shortest;
    this.#runner = new PacedRunner({ ...pacing, maxIntervalMs }, ports.clock);
    this.#offered = new OfferedEndpoints(ports.clock, ({ key, value }) => {
      this.#calc.update(key, value);
      this.#runner.request();
    });
    this.ready = new Promise((resolve) => {
      this.#firstApply = resolve;
    });
  }

  /** How its parts are: an event loop that stands still cannot even say so. */
  health(): FelixHealth {
    const now = this.#ports.clock.now();
    const busyMs = (part: HealthPart) => now - (this.#busySince.get(part) ?? now);
    return {
      CalculationGraph: { ready: this.#inSync, busyMs: busyMs("CalculationGraph") },
      InternalDataplaneMainLoop: {
        ready: this.#isApplied,
        busyMs: busyMs("InternalDataplaneMainLoop"),
      },
    };
  }

  async #busy<Result>(part: HealthPart, work: () => Promise<Result>): Promise<Result> {
    this.#busySince.set(part, this.#ports.clock.now());
    try {
      return await work();
    } finally {
      this.#busySince.delete(part);
    }
  }

  /** For who watches: walks over what felix knows. */
  sizes(): FelixSizes {
    const { hosts, hostEndpoints, workloadEndpoints, policies, profiles, tiers, ...rest } =
      this.#calc.sizes();
    return {
      ...this.#dataplane.sizes(),
      ...rest,
      cluster: {
        hosts,
        policies,
        profiles,
        tiers,
        host_endpoints: hostEndpoints,
        workload_endpoints: workloadEndpoints,
      },
    };
  }

  /** What the datastore will say too, sooner. */
  offerEndpoint(endpoint: WorkloadEndpoint): void {
    const key = keyOf(endpoint);
    this.#knownFrom.set(endpointId(key), this.#applies + 1);
    this.#offered.offer(key, endpoint);
  }

  /** What the CNI agent said and the datastore has not said yet; after `run`, too. */
  standingOffers(): ReturnType<OfferedEndpoints["standing"]> {
    return this.#offered.standing();
  }

  withdrawEndpoint(key: ResourceKey<"WorkloadEndpoint">): void {
    this.#knownFrom.delete(endpointId(key));
    this.#offered.offer(key, null);
  }

  /** Resolves when the endpoint's routes and policy are in the kernel; rejects as `signal` says. */
  async endpointProgrammed(
    key: ResourceKey<"WorkloadEndpoint">,
    signal: AbortSignal,
  ): Promise<void> {
    const id = endpointId(key);
    const enough = this.#knownFrom.get(id) ?? this.#applies + 1;
    // One that is under way will see the interface, too.
    if (this.#finished >= enough) this.#runner.request();
    while (this.#finished < enough || !this.#dataplane.isProgrammed(id)) {
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

  /** Runs until `signal` aborts, once. The kernel stays as it is. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await this.#runServices(signal);
    } finally {
      this.#cancelDue();
      this.#offered.close();
      this.#dataplane.close();
    }
  }

  #runServices(signal: AbortSignal): Promise<void> {
    const { kernel, log } = this.#ports;
    return runServices(
      [
        (stop) => this.#sync(stop),
        (stop) =>
          kernel.monitor((events) => {
            if (this.#dataplane.onKernelEvents(events)) this.#runner.request();
          }, stop),
        (stop) => this.#watchRules(stop),
        (stop) => this.#tellDenials(stop),
        (stop) => this.#keys.run(stop),
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
          this.#counters.datastoreStatus(status);
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
    for (const update of updates) {
      this.#counters.count(update.key.kind, "objects");
      this.#offered.take(update);
    }
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
        poll: this.#config.iptablesPoll[backend.kind],
      },
      signal,
    );
  }

  async #tellDenials(signal: AbortSignal): Promise<void> {
    const { nflog, log, clock } = this.#ports;
    const onDenied = (labels: DeniedLabels) => this.#counters.denied(labels);
    const ports = { log, clock, tail: this.denials, onDenied };
    await nflog?.listen(new DenialLog(() => this.#dataplane.wanted, ports), signal);
  }

  async #apply(): Promise<void> {
    if (!this.#inSync) return;
    const { clock, log } = this.#ports;
    const started = clock.now();
    const number = ++this.#applies;
    const updates = await this.#busy("CalculationGraph", () => calculate(this.#calc, clock));
    this.#counters.calculated(clock.now() - started);
    this.#dataplane.onUpdates(updates);
    for (const { kind } of updates) this.#counters.count(kind, "updates");
    const due = this.#refresh.due(started);
    if (due.size > 0) {
      this.#dataplane.resync(due);
      log.debug({ parts: [...due] }, "dataplane compared with the kernel");
    }
    let failed = true;
    try {
      await this.#busy("InternalDataplaneMainLoop", () => this.#dataplane.apply());
      failed = false;
      if (!this.#isApplied) this.#counters.firstApplied(clock.now() - this.#began);
      this.#isApplied = true;
      this.#firstApply?.();
    } finally {
      this.#keys.tell(this.#dataplane.wireguardKeys);
      this.#applyWhenDue();
      this.#finished = number;
      const milliseconds = clock.now() - started;
      this.#counters.applied(milliseconds, failed);
      log.debug({ updates: updates.length, milliseconds }, "dataplane applied");
      // What failed for one endpoint may have gone well for another.
      for (const waiter of this.#waiters) waiter();
    }
  }

  #applyWhenDue(): void {
    this.#cancelDue();
    const { dueInMs } = this.#dataplane;
    if (dueInMs === undefined) return;
    this.#cancelDue = this.#ports.clock.setTimer(Math.max(dueInMs, pacing.retryIntervalMs), () =>
      this.#runner.request(),
    );
  }
}
