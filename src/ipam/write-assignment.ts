import { isDatastoreError } from "../datastore/datastore.ts";
import type { IpAddr, IpFamily } from "../lib/ip-addr.ts";
import type { Prefix } from "../lib/prefix.ts";
import { type AddressOwner, assign, type BlockAssignment } from "./block.ts";
import { hostAffinity } from "./block-affinity.ts";
import type { EarlyHandle } from "./early-handle.ts";
import { type IpamRecords, isRace, type StoredBlock } from "./ipam-records.ts";

/*
 * An assignment is two writes: the handle is counted up, then the block is written; both at once where
 * the datastore can. A crash in between leaves a count too high, never an address that no handle knows.
 *
 * Requests of one node that are under way at once share the block's write. Each has its own handle, and
 * its own sequence number in the block; a crash leaves what it leaves of each alone.
 */

/** One address that was assigned, with what its release must match. */
export interface Assigned {
  readonly address: IpAddr;
  readonly block: Prefix;
  readonly handle: string;
  readonly sequenceNumber: bigint;
}

/** Who takes addresses of a block, and how many. */
export interface Taker {
  readonly node: string;
  readonly family: IpFamily;
  readonly count: number;
  /** No other family has been assigned to the owner before in this call. */
  readonly isFirst: boolean;
  readonly owner: AddressOwner;
  /** Not to be given away. */
  readonly reserved: readonly Prefix[];
  /** What its handle may count already. */
  readonly early?: EarlyHandle | undefined;
}

/** A request on its way. `assigned` grows; what is there when an error is thrown is assigned. */
export interface TakerJob {
  readonly request: Taker;
  readonly assigned: Assigned[];
  /** Why nothing more is assigned; undefined while nothing is wrong. */
  failure?: { readonly error: unknown } | undefined;
}

/** Addresses that the job still wants: none once it failed. */
export function missing({ request, assigned, failure }: TakerJob): number {
  return failure === undefined ? request.count - assigned.length : 0;
}

/** What one job takes of a block that is not written yet. */
interface Share {
  readonly job: TakerJob;
  readonly assigned: readonly BlockAssignment[];
}

/**
 * Takes what jobs of one node and family miss, as far as the block has it, in their order. A job whose handle
 * cannot be written fails alone.
 *
 * @returns how many addresses were taken.
 * @throws {DatastoreError} what the block's write gave: nothing is known to be assigned then
 */
export async function assignFromBlock(
  records: IpamRecords,
  jobs: readonly TakerJob[],
  { block, mustBeOwn }: { readonly block: StoredBlock; readonly mustBeOwn: boolean },
): Promise<number> {
  const [first] = jobs;
  if (first === undefined) return 0;
  const { node, family } = first.request;
  let read: StoredBlock | undefined = block;
  return await records.retry(async () => {
    read ??= await records.block(block.cidr);
    if (read === undefined) return 0;
    if (mustBeOwn && read.spec.affinity !== hostAffinity(node)) return 0;
    const { spec, shares } = divide(read, jobs);
    if (shares.length === 0) return 0;
    const stale = read;
    read = undefined;
    const written = await writeAssignment(records, stale, {
      block: spec,
      takers: takersOf(shares),
    });
    if (written === undefined) return undefined;
    if (mustBeOwn) records.memory.use(node, family, written);
    return hand(shares, block.cidr);
  });
}

function divide(
  read: StoredBlock,
  jobs: readonly TakerJob[],
): { readonly spec: StoredBlock["spec"]; readonly shares: readonly Share[] } {
  let { spec } = read;
  const shares: Share[] = [];
  for (const job of jobs) {
    const { owner, reserved } = job.request;
    const { block, assigned } = assign(spec, missing(job), owner, reserved);
    if (assigned.length === 0) continue;
    spec = block;
    shares.push({ job, assigned });
  }
  return { spec, shares };
}

function takersOf(shares: readonly Share[]): HandleCount[] {
  return shares.map(({ job, assigned }) => {
    const { owner, isFirst, early } = job.request;
    return {
      handle: owner.handle,
      count: assigned.length,
      likelyNew: isFirst && job.assigned.length === 0,
      early,
      onFailure: (error: unknown) => {
        job.failure = { error };
      },
    };
  });
}

function hand(shares: readonly Share[], block: Prefix): number {
  let count = 0;
  for (const { job, assigned } of shares) {
    const { handle } = job.request.owner;
    for (const { address, sequenceNumber } of assigned) {
      job.assigned.push({ address, block, handle, sequenceNumber });
      count++;
    }
  }
  return count;
}

/** How many addresses of a block a handle is to count more. */
export interface HandleCount {
  readonly handle: string;
  readonly count: number;
  /** The handle has probably no address yet. */
  readonly likelyNew: boolean;
  readonly early?: EarlyHandle | undefined;
  /** Hears why this one cannot be counted. Absent where it is the only one: then that is thrown. */
  onFailure?(error: unknown): void;
}

/**
 * Counts the handles up, then writes the block; all at once where the datastore can. When a rival was
 * first, the handles are counted down again. When the outcome is unknown they are not: too high is
 * repaired by the handle's release.
 *
 * @returns undefined when a handle could not be counted, which heard why, and nothing is written.
 * @throws {DatastoreError} what the write gave.
 */
export async function writeAssignment(
  records: IpamRecords,
  read: StoredBlock,
  {
    block,
    takers,
  }: { readonly block: StoredBlock["spec"]; readonly takers: readonly HandleCount[] },
): Promise<StoredBlock | undefined> {
  const areNew = takers.every(({ likelyNew }) => likelyNew);
  if (areNew && records.writesTogether) {
    const written = await records.updateBlockWithHandles(read, block, takers);
    if (written !== undefined) return written;
  }
  if (!(await countUp(records, read.cidr, takers))) return undefined;
  try {
    return await records.updateBlock(read, block);
  } catch (error) {
    if (isRace(error)) await countDown(records, read.cidr, takers);
    throw error;
  }
}

/** @returns false when some cannot be counted, which heard why, and none is. */
async function countUp(
  records: IpamRecords,
  cidr: Prefix,
  takers: readonly HandleCount[],
): Promise<boolean> {
  const [only] = takers;
  if (takers.length === 1 && only !== undefined) return countAlone(records, cidr, only);
  const areNew = takers.every(({ likelyNew }) => likelyNew);
  if (areNew && (await createTogether(records, cidr, takers))) return true;
  const outcomes = await Promise.allSettled(takers.map((each) => countOne(records, cidr, each)));
  const counted = takers.filter((_, index) => outcomes[index]?.status === "fulfilled");
  if (counted.length === takers.length) return true;
  await countDown(records, cidr, counted);
  outcomes.forEach((outcome, index) => {
    if (outcome.status === "rejected") takers[index]?.onFailure?.(outcome.reason);
  });
  return false;
}

async function countAlone(
  records: IpamRecords,
  cidr: Prefix,
  taker: HandleCount,
): Promise<boolean> {
  try {
    await countOne(records, cidr, taker);
    return true;
  } catch (error) {
    if (taker.onFailure === undefined || isRace(error)) throw error;
    taker.onFailure(error);
    return false;
  }
}

/** @returns false when the datastore cannot, or has one of the handles. */
async function createTogether(
  records: IpamRecords,
  cidr: Prefix,
  takers: readonly HandleCount[],
): Promise<boolean> {
  try {
    return await records.createHandles(cidr, takers);
  } catch (error) {
    if (isDatastoreError(error, "already-exists")) return false;
    throw error;
  }
}

async function countOne(
  records: IpamRecords,
  cidr: Prefix,
  { handle, count, likelyNew, early }: HandleCount,
): Promise<void> {
  if ((await early?.take(cidr, count)) === true) return;
  await records.incrementHandle(handle, cidr, { count, likelyNew });
}

async function countDown(
  records: IpamRecords,
  cidr: Prefix,
  takers: readonly HandleCount[],
): Promise<void> {
  await Promise.all(
    takers.map(({ handle, count }) => records.decrementHandle(handle, cidr, count)),
  );
}
