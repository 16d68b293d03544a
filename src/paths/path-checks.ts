import { isDeepStrictEqual } from "node:util";
import type { PathChecksConfig } from "../api/path-checks.ts";
import type { Datastore } from "../datastore/datastore.ts";
import { runSyncer } from "../datastore/reflector.ts";
import type { Update } from "../datastore/syncer.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage, InputError } from "../lib/errors.ts";
import { LatestValue } from "../lib/latest-value.ts";
import type { Logger } from "../lib/log.ts";
import type { Metric } from "../lib/metrics.ts";
import { aborted, runServices } from "../lib/service.ts";
import { Announcement } from "./announcement.ts";
import { servePathChecks } from "./control.ts";
import { PathKeys } from "./keys.ts";
import { Listeners } from "./listeners.ts";
import { pathMetrics } from "./metrics.ts";
import { nodeState } from "./node-state.ts";
import { changeNode, pathCondition, withCondition, withoutRuns, withPathKey } from "./own-node.ts";
import { addressesOf, PeerBook } from "./peers.ts";
import { Responder } from "./responder.ts";
import { type CheckRequest, type PathReport, runCheck } from "./run-check.ts";

export interface PathCheckPorts {
  readonly nodeName: string;
  readonly datastore: Datastore;
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly log: Logger;
  readonly controlPath: string;
  random(): number;
}

/**
 * The path checks of this node (docs/check-paths.md): answers other nodes' probes, probes when it is
 * asked or by itself. The keys live as long as the process.
 */
export class PathChecks {
  readonly #ports: PathCheckPorts;
  readonly #keys = new PathKeys();
  readonly #configs = new LatestValue<PathChecksConfig>();
  #present: PathChecksConfig | undefined;
  #last: PathReport | undefined;
  #isChecking = false;
  /** Counts the runs, for samples to go on from one to the next. */
  #turn = 0;

  constructor(ports: PathCheckPorts) {
    this.#ports = ports;
  }

  metrics(): readonly Metric[] {
    return pathMetrics(this.#last);
  }

  /** What acts from now on. */
  configure(config: PathChecksConfig): void {
    if (!isDeepStrictEqual(config, this.#present)) this.#configs.set(config);
    this.#present = config;
  }

  /** Runs until `signal` aborts, once. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const latest = await this.#configs.next(signal);
      if (latest === undefined) return;
      await this.#runAs(latest.value, AbortSignal.any([signal, latest.outdated]));
    }
  }

  async #runAs(config: PathChecksConfig, signal: AbortSignal): Promise<void> {
    if (!config.enabled || config.intervalMs === 0) this.#last = undefined;
    const announcement = this.#announcement(config);
    if (!config.enabled) return await this.#takeBack(announcement, signal);
    const { nodeName, clock, log, controlPath, kernel } = this.#ports;
    const peers = new PeerBook(nodeName);
    const synced = Promise.withResolvers<void>();
    const ownState = () => nodeState(kernel, config.tunnels);
    const responder = new Responder({ keys: this.#keys, peers, clock, state: ownState });
    const listeners = new Listeners({ port: config.port, peers, responder, clock, log });
    const check = async (request: CheckRequest, stop: AbortSignal) => {
      await Promise.race([synced.promise, aborted(stop)]);
      return this.#check(request, config, peers, stop);
    };
    try {
      await runServices(
        [
          (stop) => {
            const onUpdates = (updates: readonly Update[]) => {
              announcement.learn(updates);
              if (!peers.learn(updates) || stop.aborted) return;
              listeners.listenAt(peers.own === undefined ? [] : addressesOf(peers.own));
            };
            return this.#followNodes(onUpdates, synced.resolve, stop);
          },
          (stop) => announcement.run(stop),
          (stop) => servePathChecks(controlPath, check, stop),
          (stop) => this.#checkByItself(config, check, stop),
        ],
        signal,
      );
    } finally {
      await listeners.close();
    }
  }

  #followNodes(
    onUpdates: (updates: readonly Update[]) => void,
    onInSync: () => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { datastore, clock, log } = this.#ports;
    const onStatus = (status: string) => {
      if (status === "in-sync") onInSync();
    };
    const callbacks = { onUpdates, onStatus };
    return runSyncer({ kinds: ["Node"] }, { datastore, clock, log, callbacks }, signal);
  }

  /** The public key in this node's Node, or none; and nothing old. */
  #announcement({ enabled, intervalMs }: PathChecksConfig): Announcement {
    const { clock } = this.#ports;
    return new Announcement(this.#ports, (read) => {
      const node = withPathKey(read, enabled ? this.#keys.publicKey : undefined);
      const now = clock.date().toISOString();
      return enabled && intervalMs > 0 ? node : withoutRuns(node, now);
    });
  }

  /** Follows no longer than it takes. */
  async #takeBack(announcement: Announcement, signal: AbortSignal): Promise<void> {
    const done = new AbortController();
    void announcement.said.then(() => done.abort());
    const stop = AbortSignal.any([signal, done.signal]);
    const onUpdates = (updates: readonly Update[]) => announcement.learn(updates);
    await runServices(
      [
        (inner) => this.#followNodes(onUpdates, () => announcement.learned(), inner),
        (inner) => announcement.run(inner),
      ],
      stop,
    );
    await aborted(signal);
  }

  async #check(
    request: CheckRequest,
    { port, samplePeers, tunnels }: PathChecksConfig,
    peers: PeerBook,
    signal: AbortSignal,
  ): Promise<PathReport> {
    if (this.#isChecking) throw new InputError("Cannot check paths: a check is under way already");
    this.#isChecking = true;
    try {
      const { nodeName: self, kernel, clock } = this.#ports;
      const ownState = () => nodeState(kernel, tunnels);
      const deps = { self, port, samplePeers, peers, keys: this.#keys, kernel, clock, ownState };
      return await runCheck(request, this.#turn++, deps, signal);
    } finally {
      this.#isChecking = false;
    }
  }

  async #checkByItself(
    { intervalMs }: PathChecksConfig,
    check: (request: CheckRequest, signal: AbortSignal) => Promise<PathReport>,
    signal: AbortSignal,
  ): Promise<void> {
    if (intervalMs === 0) return aborted(signal);
    const { clock, random, log } = this.#ports;
    while (!signal.aborted) {
      // Not all nodes at a time, whatever they were started by.
      await clock.sleep(intervalMs * (0.5 + random()), signal).catch(() => undefined);
      if (signal.aborted) return;
      try {
        const report = await check({ throughput: true, dryRun: false }, signal);
        await this.#publish(report);
      } catch (error) {
        if (signal.aborted) return;
        log.warn({ reason: errorMessage(error) }, "path check failed");
      }
    }
  }

  async #publish(report: PathReport): Promise<void> {
    const { nodeName, datastore, clock, log } = this.#ports;
    this.#last = report;
    for (const { severity, code, path, from, to, text } of report.findings) {
      log[severity === "problem" ? "warn" : "info"](
        { code, path, from, to, text },
        "path check found",
      );
    }
    const condition = pathCondition(report, clock.date().toISOString());
    await changeNode(nodeName, datastore, (node) => withCondition(node, condition));
  }
}
