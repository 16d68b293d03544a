import type { KubeControllersConfigurationSpec } from "../api/resources/kube-controllers-configuration.ts";
import { isLocked } from "../datastore/cluster-lock.ts";
import { type Datastore, isDatastoreError } from "../datastore/datastore.ts";
import { runSyncer } from "../datastore/reflector.ts";
import type { Update } from "../datastore/syncer.ts";
import type { Survey } from "../ipam/ipam.ts";
import { durationSeconds } from "../lib/duration.ts";
import { errorMessage } from "../lib/errors.ts";
import { PacedRunner } from "../lib/paced-runner.ts";
import { runServices, type Service } from "../lib/service.ts";
import { type CollectPorts, collectGarbage } from "./collect-garbage.ts";
import { goneNodeGraceMs, IpamCollector, type Observation } from "./ipam-collector.ts";
import { type CountedPorts, counted } from "./reconcile-counts.ts";

const defaultGrace = "15m";
const offCheckMs = 300_000;
const shortestTickMs = 1_000;
/** Longest time between two looks, so that a node that is gone is noticed. */
const longestTickMs = 300_000;
const retryMs = 5_000;
/** It rests for so many times as long as it looked: a look reads everything. */
const restRatio = 4;

/**
 * Gives back what nobody uses: leaked addresses, empty blocks, and all that a deleted node had (facts
 * 3.10). Every release follows a second, fresh read, and goes by handle and sequence number, so that an
 * address that was given again in the meantime stays.
 *
 * Workload endpoints of a node that is gone are left: its machine may work and register again. `tortie
 * delete node` deletes them.
 */
export function ipamController(ports: CollectPorts & CountedPorts): Service {
  const { clock, log } = ports;
  const collector = new IpamCollector();
  const paces = { minIntervalMs: shortestTickMs, retryIntervalMs: retryMs };
  const runner = new PacedRunner({ ...paces, maxIntervalMs: Number.POSITIVE_INFINITY }, clock);
  return async (signal) => {
    let cancelTick: (() => void) | undefined;
    const look = async () => {
      const startedAt = clock.now();
      const waitMs = await collectOnce(collector, ports, signal);
      cancelTick?.();
      cancelTick = clock.setTimer(waitMs, () => runner.request());
      const restMs = (clock.now() - startedAt) * restRatio;
      await clock.sleep(restMs, signal).catch(() => undefined);
    };
    const onError = (error: unknown) => {
      if (!signal.aborted) log.error({ reason: errorMessage(error) }, "Cannot collect garbage");
    };
    runner.request();
    await runServices(
      [
        (stop) => runner.start(counted(ports, "ipam", look), onError, stop),
        (stop) => requestOnChange(runner, ports, stop),
      ],
      signal,
    );
    cancelTick?.();
  };
}

/** Another grace period, an unlocked datastore, or a node that is gone: look soon. */
function requestOnChange(
  runner: PacedRunner,
  ports: CollectPorts,
  signal: AbortSignal,
): Promise<void> {
  const callbacks = {
    onUpdates: (updates: readonly Update[]) => {
      // Nodes are written all the time: only their end matters.
      if (updates.some(({ key, value }) => key.kind !== "Node" || value === null)) runner.request();
    },
    onStatus: () => undefined,
  };
  return runSyncer(
    { kinds: ["ClusterInformation", "KubeControllersConfiguration", "Node"] },
    { ...ports, callbacks },
    signal,
  );
}

/** One look, and what follows from it. @returns when to look again, in ms. */
async function collectOnce(
  collector: IpamCollector,
  ports: CollectPorts,
  signal: AbortSignal,
): Promise<number> {
  const graceMs = await leakGraceMs(ports);
  if (graceMs === 0 || (await isLocked(ports.datastore))) return offCheckMs;
  const survey = await ports.ipam.survey();
  const plan = collector.observe(observed(survey), graceMs, ports.clock.now());
  const { length: candidates } = plan.candidates;
  ports.metrics?.observe(survey, plan.candidates);
  if (candidates > 0) ports.log.debug({ addresses: candidates }, "may be leaked");
  await collectGarbage(plan, ports, signal);
  const longestMs = candidates > 0 ? goneNodeGraceMs : longestTickMs;
  return Math.min(longestMs, Math.max(shortestTickMs, graceMs / 2));
}

/** Which addresses are used and which nodes there are, of everything that IPAM has given away. */
function observed(survey: Survey): Observation {
  const { allocations, blocks, handles, affinities, nodes } = survey;
  return {
    allocations,
    blocks,
    handles,
    affinities,
    nodes: new Set(nodes.map(({ metadata }) => metadata.name)),
  };
}

async function leakGraceMs({ datastore, log }: CollectPorts): Promise<number> {
  const { controllers } = await configuration(datastore);
  const text = controllers?.node?.leakGracePeriod ?? defaultGrace;
  try {
    return durationSeconds(text) * 1000;
  } catch (error) {
    log.warn({ reason: errorMessage(error) }, `leakGracePeriod: ${defaultGrace} is used`);
    return durationSeconds(defaultGrace) * 1000;
  }
}

async function configuration(datastore: Datastore): Promise<KubeControllersConfigurationSpec> {
  try {
    const key = { kind: "KubeControllersConfiguration", name: "default" } as const;
    return (await datastore.get(key)).spec;
  } catch (error) {
    if (isDatastoreError(error, "not-found")) return {};
    throw error;
  }
}
