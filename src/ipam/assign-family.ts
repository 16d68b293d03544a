import type { BlockAffinity, IPAMConfigurationSpec } from "../api/resources/ipam.ts";
import type { IpAddr, IpFamily } from "../lib/ip-addr.ts";
import { type Prefix, prefixContains } from "../lib/prefix.ts";
import { type AddressOwner, assign } from "./block.ts";
import { affinitiesOfNode, hostAffinity } from "./block-affinity.ts";
import { chooseBlock, nearestFirst } from "./block-choice.ts";
import { claimBlock, ownBlock, releaseAffinity } from "./claims.ts";
import type { EarlyHandle } from "./early-handle.ts";
import { exhausted } from "./exhausted.ts";
import { IpamError } from "./ipam-error.ts";
import { type IpamRecords, isRace, maxAttempts, type StoredBlock } from "./ipam-records.ts";
import { type Pool, selectsNode } from "./pools.ts";

/** One address that was assigned, with what its release must match. */
export interface Assigned {
  readonly address: IpAddr;
  readonly block: Prefix;
  readonly handle: string;
  readonly sequenceNumber: bigint;
}

export interface FamilyRequest {
  readonly family: IpFamily;
  readonly node: string;
  readonly nodeLabels: Readonly<Record<string, string>>;
  readonly count: number;
  /** No other family has been assigned to the owner before in this call. */
  readonly isFirst: boolean;
  readonly owner: AddressOwner;
  /** Pools to take from, in order. */
  readonly pools: readonly Pool[];
  /** All pools: to see which blocks of the node are in none that selects it. */
  readonly allPools: readonly Pool[];
  readonly config: IPAMConfigurationSpec;
  readonly maxBlocks: number;
  /** Not to be given away. */
  readonly reserved: readonly Prefix[];
  /** What its handle may count already. */
  readonly early?: EarlyHandle | undefined;
}

/** A request on its way. `assigned` grows; what is there when an error is thrown is assigned. */
export interface AssignmentJob {
  readonly records: IpamRecords;
  readonly request: FamilyRequest;
  readonly assigned: Assigned[];
}

/**
 * Assigns addresses of one family (facts 3.2): from blocks that the node has, from blocks that it
 * claims, and, unless affinity is strict, from blocks of others.
 *
 * @throws {IpamError} pool-exhausted, block-limit, blocks-fixed, too-many-conflicts
 */
export async function assignFamily(job: AssignmentJob): Promise<void> {
  const { records, request } = job;
  await assignFromCurrentBlock(job);
  if (missing(job) === 0) return;
  const { family, node } = request;
  // A node that was given nothing yet most likely needs a new block: one call lists what that takes.
  const isNew = records.memory.current(node, family) === undefined;
  const [affinities, blocks] = await Promise.all([
    records.affinities(),
    isNew ? records.blocks(family) : undefined,
  ]);
  const owned = await assignFromOwnBlocks(job, affinities);
  if (missing(job) > 0) await assignFromNewBlocks(job, owned, blocks);
  if (missing(job) > 0 && request.config.strictAffinity !== true) await borrow(job);
  if (missing(job) > 0) {
    throw exhausted(request, await records.blocks(family), await records.nodes());
  }
}

function missing({ request, assigned }: AssignmentJob): number {
  return request.count - assigned.length;
}

/** The common case: a pod more for a node whose block is known, and has room. */
async function assignFromCurrentBlock(job: AssignmentJob): Promise<void> {
  const { records, request } = job;
  const block = records.memory.current(request.node, request.family);
  if (block === undefined || !request.pools.some((pool) => prefixContains(pool.cidr, block.cidr))) {
    return;
  }
  const spec = records.collect(block.spec);
  await assignFromBlock(job, { ...block, spec }, { mustBeOwn: true });
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
    else await assignFromBlock(job, block, { mustBeOwn: true });
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

/** `listed`: all blocks, where they were read a moment ago. */
async function assignFromNewBlocks(
  job: AssignmentJob,
  owned: Set<Prefix>,
  listed: readonly StoredBlock[] | undefined,
): Promise<void> {
  const { records, request } = job;
  const { node, family, pools, maxBlocks } = request;
  const skip = new Set<Prefix>();
  let blocks = listed;
  for (let tries = 1; missing(job) > 0; tries++) {
    if (tries > maxAttempts) throw tooManyConflicts(node);
    const context = { node, now: records.now(), skip, reserved: request.reserved };
    const choice = chooseBlock(pools, blocks ?? (await records.blocks(family)), context);
    blocks = undefined;
    if (choice === undefined) return;
    if (choice.kind !== "own") requireMayClaim(request, owned.size, maxBlocks);
    if (choice.kind === "reclaim") {
      const outcome = await releaseAffinity(records, { ...choice, mustBeEmpty: true });
      if (outcome === "kept") {
        skip.add(choice.cidr);
        continue;
      }
    }
    const present = choice.kind === "own" ? await ownBlock(records, node, choice.cidr) : undefined;
    const listAgain = async () => {
      blocks = await records.blocks(family);
    };
    const block = present ?? (await claimBlock(records, node, choice.cidr, listAgain));
    if (block === undefined) continue;
    owned.add(choice.cidr);
    const taken = await assignFromBlock(job, block, { mustBeOwn: true });
    if (taken === 0 && choice.kind === "own") skip.add(choice.cidr);
  }
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
      await assignFromBlock(job, block, { mustBeOwn: false });
    }
  }
}

/**
 * Takes what is missing, as far as the block has it. The handle is counted up before the block is
 * written: a crash in between leaves a count too high, never an address that no handle knows.
 *
 * @returns how many addresses were taken.
 */
async function assignFromBlock(
  job: AssignmentJob,
  block: StoredBlock,
  { mustBeOwn }: { readonly mustBeOwn: boolean },
): Promise<number> {
  const { records, request } = job;
  let read: StoredBlock | undefined = block;
  return await records.retry(async () => {
    read ??= await records.block(block.cidr);
    if (read === undefined) return 0;
    if (mustBeOwn && read.spec.affinity !== hostAffinity(request.node)) return 0;
    const change = assign(read.spec, missing(job), request.owner, request.reserved);
    if (change.assigned.length === 0) return 0;
    const stale = read;
    read = undefined;
    const likelyNew = request.isFirst && job.assigned.length === 0;
    const { handle: id } = request.owner;
    const { early } = request;
    const wanted = { ...change, handle: id, likelyNew, early };
    const written = await writeAssignment(records, stale, wanted);
    if (mustBeOwn) records.memory.use(request.node, request.family, written);
    for (const { address, sequenceNumber } of change.assigned) {
      const { handle } = request.owner;
      job.assigned.push({ address, block: block.cidr, handle, sequenceNumber });
    }
    return change.assigned.length;
  });
}

/**
 * Counts the handle up, then writes the block; both at once where the datastore can. When a rival was first, the handle is counted down
 * again. When the outcome is unknown it is not: too high is repaired by the handle's release.
 *
 * @throws {DatastoreError} what the write gave.
 */
export async function writeAssignment(
  records: IpamRecords,
  read: StoredBlock,
  change: {
    readonly block: StoredBlock["spec"];
    readonly assigned: readonly unknown[];
    readonly handle: string;
    /** The handle has probably no address yet. */
    readonly likelyNew: boolean;
    readonly early?: EarlyHandle | undefined;
  },
): Promise<StoredBlock> {
  const { handle, likelyNew, early } = change;
  const count = change.assigned.length;
  if (likelyNew && records.writesTogether) {
    const written = await records.updateBlockWithHandle(read, change.block, { handle, count });
    if (written !== undefined) return written;
  }
  if ((await early?.take(read.cidr, count)) !== true) {
    await records.incrementHandle(handle, read.cidr, { count, likelyNew });
  }
  try {
    return await records.updateBlock(read, change.block);
  } catch (error) {
    if (isRace(error)) await records.decrementHandle(handle, read.cidr, count);
    throw error;
  }
}

function tooManyConflicts(node: string): IpamError {
  return new IpamError(
    `Cannot claim a block for ${node}: others were first at each of ${maxAttempts} tries`,
    { code: "too-many-conflicts", attempts: maxAttempts },
  );
}
