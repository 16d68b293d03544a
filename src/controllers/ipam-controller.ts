import type { KubeControllersConfigurationSpec } from "../api/resources/kube-controllers-configuration.ts";
import { isLocked } from "../datastore/cluster-lock.ts";
import { type Datastore, isDatastoreError } from "../datastore/datastore.ts";
import { runSyncer } from "../datastore/reflector.ts";
import type { Ipam, Survey } from "../ipam/ipam.ts";
import type { Clock } from "../lib/clock.ts";
import { durationSeconds } from "../lib/duration.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { PacedRunner } from "../lib/paced-runner.ts";
import { runServices, type Service } from "../lib/service.ts";
import {
  type CollectionPlan,
  goneNodeGraceMs,
  IpamCollector,
  type Leak,
  type Observation,
  stillLeaked,
} from "./ipam-collector.ts";

export interface IpamControllerPorts {
  readonly datastore: Datastore;
  readonly ipam: Ipam;
  readonly clock: Clock;
  readonly log: Logger;
}

const defaultGrace = "15m";
const offCheckMs = 300_000;
const shortestTickMs = 1_000;
/** Longest time between two looks, so that a node that is gone is noticed. */
const longestTickMs = 300_000;
const retryMs = 5_000;
/** One release may take so long; the others do not wait for it any longer. */
const releaseMs = 30_000;

/**
 * Gives back what nobody uses: leaked addresses, empty blocks, and all that a deleted node had (facts
 * 3.10). Every release is made from a second, fresh read, by handle and sequence number, so that an
 * address that was given again in the meantime stays.
 */
export function ipamController(ports: IpamControllerPorts): Service {
  const { clock, log } = ports;
  const collector = new IpamCollector();
  const paces = { minIntervalMs: shortestTickMs, retryIntervalMs: retryMs };
  const runner = new PacedRunner({ ...paces, maxIntervalMs: Number.POSITIVE_INFINITY }, clock);
  return async (signal) => {
    let cancelTick: (() => void) | undefined;
    const look = async () => {
      const waitMs = await collectOnce(collector, ports, signal);
      cancelTick?.();
      cancelTick = clock.setTimer(waitMs, () => runner.request());
    };
    const onError = (error: unknown) => {
      if (!signal.aborted) log.error({ reason: errorMessage(error) }, "Cannot collect garbage");
    };
    runner.request();
    await runServices(
      [(stop) => runner.start(look, onError, stop), (stop) => requestOnChange(runner, ports, stop)],
      signal,
    );
    cancelTick?.();
  };
}

/** Another grace period, an unlocked datastore, or a node that is gone: look at once. */
function requestOnChange(
  runner: PacedRunner,
  ports: IpamControllerPorts,
  signal: AbortSignal,
): Promise<void> {
  const request = () => runner.request();
  const callbacks = { onUpdates: request, onStatus: request };
  return runSyncer(
    { kinds: ["ClusterInformation", "KubeControllersConfiguration", "Node"] },
    { ...ports, callbacks },
    signal,
  );
}

/** One look, and what follows from it. @returns when to look again, in ms. */
async function collectOnce(
  collector: IpamCollector,
  ports: IpamControllerPorts,
  signal: AbortSignal,
): Promise<number> {
  const graceMs = await leakGraceMs(ports);
  if (graceMs === 0 || (await isLocked(ports.datastore))) return offCheckMs;
  const plan = collector.observe(observed(await ports.ipam.survey()), graceMs, ports.clock.now());
  if (plan.candidates > 0) ports.log.debug({ addresses: plan.candidates }, "may be leaked");
  if (!signal.aborted) await carryOut(plan, ports, signal);
  const longestMs = plan.candidates > 0 ? goneNodeGraceMs : longestTickMs;
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

async function carryOut(
  plan: CollectionPlan,
  ports: IpamControllerPorts,
  signal: AbortSignal,
): Promise<void> {
  const { ipam, log } = ports;
  const attempt = async (what: object, act: () => Promise<unknown>) => {
    if (signal.aborted) return;
    try {
      await within(releaseMs, act(), ports.clock);
    } catch (error) {
      log.warn({ ...what, reason: errorMessage(error) }, "Cannot release");
    }
  };
  const { leaks, goneNodes } = await confirmed(plan, ports);
  for (const leak of leaks) {
    await attempt({ handle: leak.handle }, async () => {
      const { released } = await ipam.releaseIps(leak.addresses);
      log.info({ handle: leak.handle, released, why: leak.reason }, "Released leaked addresses");
    });
  }
  for (const cidr of plan.coldBlocks) {
    await attempt({ block: cidr }, () => ipam.freeRested(cidr));
  }
  for (const block of plan.emptyBlocks) {
    await attempt({ block: block.cidr }, async () => {
      const outcome = await ipam.releaseEmptyBlock(block);
      if (outcome === "released") {
        log.info({ node: block.node, block: block.cidr }, "Released an empty block");
      }
    });
  }
  for (const node of goneNodes) {
    await attempt({ node }, async () => {
      await ipam.releaseAffinities({ node });
      log.info({ node }, "Released the blocks of a node that is gone");
    });
  }
  for (const seen of plan.miscounted) {
    await attempt({ handle: seen.handle }, async () => {
      await ipam.repairHandle(seen);
      log.info({ handle: seen.handle }, "Counted the addresses of a handle anew");
    });
  }
  for (const seen of plan.unsettled) {
    await attempt({ node: seen.node, block: seen.cidr }, async () => {
      await ipam.settleAffinity(seen);
      log.info({ node: seen.node, block: seen.cidr }, "Settled an unfinished claim of a block");
    });
  }
}

/** What still holds when everything is read once more. */
async function confirmed(
  plan: CollectionPlan,
  { ipam }: IpamControllerPorts,
): Promise<{ readonly leaks: readonly Leak[]; readonly goneNodes: readonly string[] }> {
  if (plan.leaks.length === 0 && plan.goneNodes.length === 0) return { leaks: [], goneNodes: [] };
  const fresh = observed(await ipam.survey());
  return {
    leaks: stillLeaked(plan, fresh),
    goneNodes: plan.goneNodes.filter((node) => !fresh.nodes.has(node)),
  };
}

async function leakGraceMs({ datastore, log }: IpamControllerPorts): Promise<number> {
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

async function within<Result>(ms: number, work: Promise<Result>, clock: Clock): Promise<Result> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const cancel = clock.setTimer(ms, () => reject(new Error(`no answer within ${ms / 1000} s`)));
  try {
    return await Promise.race([work, late]);
  } finally {
    cancel();
  }
}
