import { cidrName } from "../api/names.ts";
import type { BlockAffinity, IPAMConfigurationSpec } from "../api/resources/ipam.ts";
import type { IpFamily } from "../lib/ip-addr.ts";
import { type Prefix, prefixContains } from "../lib/prefix.ts";
import { affinitiesOfNode } from "./block-affinity.ts";
import { type BlockChoice, chooseBlock, freeBlock, nearestFirst } from "./block-choice.ts";
import { claimBlock, ownBlock, releaseAffinity } from "./claims.ts";
import { exhausted } from "./exhausted.ts";
import { IpamError } from "./ipam-error.ts";
import { type IpamRecords, maxAttempts } from "./ipam-records.ts";
import { type Pool, selectsNode } from "./pools.ts";
import { assignFromBlock, missing, type Taker, type TakerJob } from "./write-assignment.ts";

/** What one job goes by. */
export interface FamilyRequest extends Taker {
  readonly nodeLabels: Readonly<Record<string, string>>;
  /** Pools to take from, in order. */
  readonly pools: readonly Pool[];
  /** All pools: to see which blocks of the node are in none that selects it. */
  readonly allPools: readonly Pool[];
  readonly config: IPAMConfigurationSpec;
  readonly maxBlocks: number;
}

export interface AssignmentJob extends TakerJob {
  readonly records: IpamRecords;
  readonly request: FamilyRequest;
}

/**
 * Assigns addresses of one family (facts 3.2) when the node's current block has not enough: from other blocks
 * that the node has, from blocks that it claims, and, unless affinity is strict, from blocks of others.
 *
 * @param listed what was listed a moment ago, to spare listing it.
 * @throws {IpamError} pool-exhausted, block-limit, blocks-fixed, too-many-conflicts
 */
export async function assignFamily(job: AssignmentJob, listed?: Claims): Promise<void> {
  const { records, request } = job;
  const { family, node } = request;
  const { affinities, blocks } = listed ?? (await listClaims(records, node, family));
  const owned = await assignFromOwnBlocks(job, affinities);
  if (missing(job) > 0) await assignFromNewBlocks(job, owned, blocks);
  if (missing(job) > 0 && request.config.strictAffinity !== true) await borrow(job);
  if (missing(job) > 0) {
    throw exhausted(request, await records.blocks(family), await records.nodes());
  }
}

/** Who has which block, as a node needs it that looks for one. */
export interface Claims {
  /** The node's, and perhaps others. */
  readonly affinities: readonly BlockAffinity[];
  /** Names of all. Undefined where the node probably needs no new block. */
  readonly blocks: ReadonlySet<string> | undefined;
}

/**
 * A node that was given nothing yet most likely needs a new block: one call lists what that takes.
 *
 * @param listed the node's affinities, where they were listed a moment ago.
 */
export async function listClaims(
  records: IpamRecords,
  node: string,
  family: IpFamily,
  listed?: readonly BlockAffinity[],
): Promise<Claims> {
  const isNew = records.memory.current(node, family) === undefined;
  const [affinities, blocks] = await Promise.all([
    listed ?? records.affinities(node),
    isNew ? records.blockNames() : undefined,
  ]);
  return { affinities, blocks };
}

/** The common case: pods more for a node whose block is known, and has room. */
export async function assignFromCurrentBlock(
  records: IpamRecords,
  jobs: readonly AssignmentJob[],
): Promise<void> {
  const [first] = jobs;
  if (first === undefined) return;
  const { node, family } = first.request;
  const block = records.memory.current(node, family);
  if (block === undefined) return;
  const fitting = jobs.filter((job) =>
    job.request.pools.some((pool) => prefixContains(pool.cidr, block.cidr)),
  );
  const spec = records.collect(block.spec);
  try {
    await assignFromBlock(records, fitting, { block: { ...block, spec }, mustBeOwn: true });
  } catch (error) {
    for (const job of fitting) job.failure ??= { error };
  }
}

/** @returns the blocks of the chosen pools that the node has. */
async function assignFromOwnBlocks(
  job: AssignmentJob,
  affinities: readonly BlockAffinity[],
): Promise<Set<Prefix>> {
  const { records, request } = job;
  const owned = new Set<Prefix>();
  for (const { cidr, affinity } of affinitiesOfNode(affinities, request.node)) {
    if (!request.pools.some((pool) => prefixContains(pool.cidr, cidr))) {
      await releaseIfUnselected(job, cidr);
      continue;
    }
    owned.add(cidr);
    if (missing(job) === 0) continue;
    const block = await ownBlock(records, request.node, cidr, affinity);
    if (block === undefined) owned.delete(cidr);
    else await assignFromBlock(records, [job], { block, mustBeOwn: true });
  }
  return owned;
}

/** An empty block of a pool that no longer selects the node goes back. */
async function releaseIfUnselected(job: AssignmentJob, cidr: Prefix): Promise<void> {
  const { records, request } = job;
  const pool = request.allPools.find((candidate) => prefixContains(candidate.cidr, cidr));
  if (pool === undefined || selectsNode(pool, request.nodeLabels)) return;
  await releaseAffinity(records, { node: request.node, cidr, mustBeEmpty: true });
}

/** `listed`: names of all blocks, where they were listed a moment ago. */
async function assignFromNewBlocks(
  job: AssignmentJob,
  owned: Set<Prefix>,
  listed: ReadonlySet<string> | undefined,
): Promise<void> {
  const { records, request } = job;
  const { node, maxBlocks } = request;
  const skip = new Set<Prefix>();
  let present = new Set(listed ?? (await records.blockNames()));
  for (let tries = 1; missing(job) > 0; tries++) {
    if (tries > maxAttempts) throw tooManyConflicts(node);
    const choice = await chooseNext(job, present, skip);
    if (choice === undefined) return;
    if (choice.kind !== "own") requireMayClaim(request, owned.size, maxBlocks);
    if (choice.kind === "reclaim") {
      const outcome = await releaseAffinity(records, { ...choice, mustBeEmpty: true });
      if (outcome === "kept") {
        skip.add(choice.cidr);
        continue;
      }
    }
    const own = choice.kind === "own" ? await ownBlock(records, node, choice.cidr) : undefined;
    const lookAgain = async () => {
      present = new Set(await records.blockNames());
    };
    const block = own ?? (await claimBlock(records, node, choice.cidr, lookAgain));
    // Ours or a rival's: what was listed may be from before.
    present.add(cidrName(choice.cidr));
    if (block === undefined) continue;
    owned.add(choice.cidr);
    const taken = await assignFromBlock(records, [job], { block, mustBeOwn: true });
    if (taken === 0 && choice.kind === "own") skip.add(choice.cidr);
  }
}

/** A free block is found by names alone; only where there is none, blocks are read. */
async function chooseNext(
  { records, request }: AssignmentJob,
  present: ReadonlySet<string>,
  skip: ReadonlySet<Prefix>,
): Promise<BlockChoice | undefined> {
  const { node, family, pools, reserved } = request;
  const context = { node, now: records.now(), skip, reserved };
  const cidr = freeBlock(pools, present, context);
  if (cidr !== undefined) return { kind: "free", cidr };
  return chooseBlock(pools, await records.blocks(family), context);
}

function requireMayClaim(request: FamilyRequest, owned: number, maxBlocks: number): void {
  const { node, family } = request;
  if (owned >= maxBlocks) {
    throw new IpamError(
      `Cannot assign an IPv${family} address to ${node}: its ${owned} blocks are full and it may have ${maxBlocks} (maxBlocksPerHost)`,
      { code: "block-limit", node, limit: maxBlocks },
    );
  }
  if (request.config.autoAllocateBlocks === false) {
    throw new IpamError(
      `Cannot assign an IPv${family} address to ${node}: its ${owned} blocks are full and autoAllocateBlocks is false`,
      { code: "blocks-fixed", node },
    );
  }
}

/** Takes single addresses from blocks of other nodes, or of none. */
async function borrow(job: AssignmentJob): Promise<void> {
  const { records, request } = job;
  const blocks = await records.blocks(request.family);
  for (const pool of request.pools) {
    const context = { node: request.node, now: records.now() };
    for (const block of nearestFirst(pool, blocks, context)) {
      if (missing(job) === 0) return;
      if (block.spec.unallocated.length === 0) continue;
      await assignFromBlock(records, [job], { block, mustBeOwn: false });
    }
  }
}

function tooManyConflicts(node: string): IpamError {
  return new IpamError(
    `Cannot claim a block for ${node}: others were first at each of ${maxAttempts} tries`,
    { code: "too-many-conflicts", attempts: maxAttempts },
  );
}
