import { isDatastoreError } from "../datastore/datastore.ts";
import type { Ipam } from "../ipam/ipam.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { CollectionPlan, Leak } from "./ipam-collector.ts";
import type { IpamMetrics } from "./ipam-metrics.ts";
import { LiveCheck, type LiveCheckPorts } from "./live-check.ts";

export interface CollectPorts extends LiveCheckPorts {
  readonly ipam: Ipam;
  readonly log: Logger;
  /** Counts what is given back. */
  readonly metrics?: IpamMetrics;
}

/** One release may take so long; the others do not wait for it any longer. */
const releaseMs = 30_000;
/** After so many objects in a row without an answer the datastore is taken to be gone. */
const unansweredLimit = 3;

/**
 * Carries out a plan, one object after the other, each with a deadline and each read again just before.
 * An object that fails is logged and left for the next look.
 *
 * @throws {DatastoreError} unavailable, when the datastore answers no more.
 */
export async function collectGarbage(
  plan: CollectionPlan,
  ports: CollectPorts,
  signal: AbortSignal,
): Promise<void> {
  const { ipam, log } = ports;
  const check = new LiveCheck(ports);
  const round = new Round(ports, signal);
  const keepsAddresses = await releaseLeaks(plan.leaks, { ports, check, round });
  for (const cidr of plan.coldBlocks) {
    await round.attempt({ block: cidr }, () => ipam.freeRested(cidr));
  }
  for (const block of plan.emptyBlocks) {
    await round.attempt({ block: block.cidr }, async () => {
      if ((await ipam.releaseEmptyBlock(block)) !== "released") return;
      log.info({ node: block.node, block: block.cidr }, "Released an empty block");
    });
  }
  for (const node of plan.goneNodes.filter((each) => !keepsAddresses.has(each))) {
    await round.attempt({ node }, async () => {
      if (!(await check.isNodeGone(node))) return;
      await ipam.releaseAffinities({ node });
      log.info({ node }, "Released the blocks of a node that is gone");
    });
  }
  for (const seen of plan.miscounted) {
    await round.attempt({ handle: seen.handle }, async () => {
      await ipam.repairHandle(seen);
      log.info({ handle: seen.handle }, "Counted the addresses of a handle anew");
    });
  }
  for (const seen of plan.unsettled) {
    await round.attempt({ node: seen.node, block: seen.cidr }, async () => {
      await ipam.settleAffinity(seen);
      log.info({ node: seen.node, block: seen.cidr }, "Settled an unfinished claim of a block");
    });
  }
}

/** @returns the nodes of leaks that were not released. */
async function releaseLeaks(
  leaks: readonly Leak[],
  { ports, check, round }: { ports: CollectPorts; check: LiveCheck; round: Round },
): Promise<ReadonlySet<string>> {
  const kept = new Set<string>();
  for (const leak of leaks) {
    const { handle, reason, allocations } = leak;
    const nodes = allocations.flatMap(({ attributes }) => attributes["node"] ?? []);
    const isReleased = await round.attempt({ handle }, async () => {
      if (!(await check.isLeaked(leak))) return false;
      const { released } = await ports.ipam.releaseIps(allocations);
      ports.log.info({ handle, released, why: reason }, "Released leaked addresses");
      const freed = new Set(released);
      ports.metrics?.reclaimed(allocations.filter(({ address }) => freed.has(address)));
      return true;
    });
    if (isReleased !== true) for (const node of nodes) kept.add(node);
  }
  return kept;
}

class Round {
  readonly #ports: CollectPorts;
  readonly #signal: AbortSignal;
  #unanswered = 0;

  constructor(ports: CollectPorts, signal: AbortSignal) {
    this.#ports = ports;
    this.#signal = signal;
  }

  /** Undefined when it failed, or nothing is to be done any more. */
  async attempt<Result>(what: object, act: () => Promise<Result>): Promise<Result | undefined> {
    if (this.#signal.aborted) return undefined;
    try {
      const result = await within(releaseMs, act(), this.#ports.clock);
      this.#unanswered = 0;
      return result;
    } catch (error) {
      this.#ports.log.warn({ ...what, reason: errorMessage(error) }, "Cannot release");
      this.#unanswered = isDatastoreError(error, "unavailable") ? this.#unanswered + 1 : 0;
      if (this.#unanswered >= unansweredLimit) throw error;
      return undefined;
    }
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
