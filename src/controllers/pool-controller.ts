import type { IPPool } from "../api/resources/ip-pool.ts";
import { isLocked } from "../datastore/cluster-lock.ts";
import { type Datastore, isDatastoreError } from "../datastore/datastore.ts";
import { runSyncer } from "../datastore/reflector.ts";
import type { Ipam } from "../ipam/ipam.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { PacedRunner } from "../lib/paced-runner.ts";
import { type Prefix, parsePrefix, prefixContains, prefixesOverlap } from "../lib/prefix.ts";
import { runServices, type Service } from "../lib/service.ts";
import { allocatablePools, type Verdict, withVerdict } from "./allocatable.ts";
import { type CountedPorts, counted } from "./reconcile-counts.ts";

export interface PoolPorts extends CountedPorts {
  readonly datastore: Datastore;
  readonly ipam: Ipam;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Keeps a pool whose deletion was asked for (facts 2.3). */
export const poolFinalizer = "projectcalico.org/ippool-finalizer";

const paces = { minIntervalMs: 1_000, retryIntervalMs: 5_000, maxIntervalMs: 60_000 };
/** Addresses being assigned when a pool is deleted are assigned by then (facts 2.3). */
const settleMs = 500;

/**
 * Keeps each pool that is being deleted until no block of it is left. Blocks without addresses are
 * given back at once, the others when their last address is. Tells in each pool's status whether addresses may be
 * taken from it.
 */
export function poolController(ports: PoolPorts): Service {
  const { clock, log } = ports;
  const runner = new PacedRunner(paces, clock);
  const onError = (error: unknown) =>
    log.error({ reason: errorMessage(error) }, "Cannot see pools");
  const callbacks = { onUpdates: () => runner.request(), onStatus: () => undefined };
  return (signal) =>
    runServices(
      [
        (stop) =>
          runner.start(
            counted(ports, "pool", () => settlePools(ports, stop)),
            onError,
            stop,
          ),
        (stop) => runSyncer({ kinds: ["IPPool"] }, { ...ports, callbacks }, stop),
      ],
      signal,
    );
}

async function settlePools(ports: PoolPorts, signal: AbortSignal): Promise<void> {
  const { datastore, log } = ports;
  if (await isLocked(datastore)) return;
  const { items: pools } = await datastore.list("IPPool");
  const verdicts = allocatablePools(pools);
  // A pool that waits for another's addresses has no blocks.
  const staying = pools
    .filter(({ metadata }) => verdicts.get(metadata.name)?.reason !== "CIDROverlap")
    .filter((pool) => !isBeingDeleted(pool))
    .map(cidrOf);
  for (const pool of pools) {
    if (signal.aborted) return;
    const hasFinalizer = finalizersOf(pool).includes(poolFinalizer);
    try {
      const judged = await judge(pool, verdicts, ports);
      if (!isBeingDeleted(pool)) {
        if (!hasFinalizer) await write(judged, [...finalizersOf(pool), poolFinalizer], ports);
      } else if (hasFinalizer && (await isEmptied(pool, staying, ports, signal))) {
        const others = finalizersOf(pool).filter((name) => name !== poolFinalizer);
        await write(judged, others, ports);
        log.info({ pool: pool.metadata.name }, "Let a pool go: it has no blocks any more");
      }
    } catch (error) {
      // Somebody else wrote or deleted it: the next look sees what it is now.
      if (isDatastoreError(error, "conflict") || isDatastoreError(error, "not-found")) continue;
      throw error;
    }
  }
}

/** The pool as it is when its status tells the verdict on it. */
async function judge(
  pool: IPPool,
  verdicts: ReadonlyMap<string, Verdict>,
  { datastore, clock, log }: PoolPorts,
): Promise<IPPool> {
  const verdict = verdicts.get(pool.metadata.name);
  const told = verdict === undefined ? undefined : withVerdict(pool, verdict, clock.date());
  if (told === undefined) return pool;
  const written = await datastore.update<"IPPool">(told);
  log.info({ pool: pool.metadata.name, ...verdict }, "Told whether a pool gives addresses");
  return written;
}

/** Gives back the pool's blocks; true when none is left. Those of `staying` pools are not its own. */
async function isEmptied(
  pool: IPPool,
  staying: readonly Prefix[],
  { ipam, datastore, clock }: PoolPorts,
  signal: AbortSignal,
): Promise<boolean> {
  const cidr = parsePrefix(pool.spec.cidr);
  await clock.sleep(settleMs, signal);
  if (!staying.some((other) => prefixesOverlap(other, cidr))) {
    await ipam.releaseAffinities({ pool: cidr });
  }
  const { items: blocks } = await datastore.list("IPAMBlock");
  return !blocks
    .filter(({ spec }) => spec.deleted !== true)
    .map(cidrOf)
    .some(
      (block) =>
        prefixContains(cidr, block) && !staying.some((other) => prefixContains(other, block)),
    );
}

function cidrOf({ spec }: { readonly spec: { readonly cidr: string } }): Prefix {
  return parsePrefix(spec.cidr);
}

function isBeingDeleted({ metadata }: IPPool): boolean {
  return metadata.deletionTimestamp !== undefined;
}

function finalizersOf({ metadata }: IPPool): readonly string[] {
  return metadata.finalizers ?? [];
}

async function write(
  pool: IPPool,
  finalizers: readonly string[],
  { datastore }: PoolPorts,
): Promise<void> {
  await datastore.update<"IPPool">({ ...pool, metadata: { ...pool.metadata, finalizers } });
}
