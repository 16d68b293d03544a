import type { IPAMBlockSpec } from "../api/resources/ipam.ts";
import { groupBy } from "../lib/collections.ts";
import { type IpAddr, ipBits } from "../lib/ip-addr.ts";
import { type Prefix, prefixAddress, prefixHasAddress, prefixOf } from "../lib/prefix.ts";
import { addressOf, bumpSequence, isEmpty } from "./block.ts";
import { type ReleaseOutcome, release, releaseHandle } from "./block-release.ts";
import { IpamError } from "./ipam-error.ts";
import type { IpamRecords, StoredBlock } from "./ipam-records.ts";
import { type Pool, poolOf } from "./pools.ts";

export interface BlockRelease {
  readonly released: readonly IpAddr[];
  /** Asked for, but free or cooling already. */
  readonly unallocated: readonly IpAddr[];
  /** The block as it is now, when it is still there. */
  readonly left?: IPAMBlockSpec;
}

export interface ReleaseAct {
  readonly cidr: Prefix;
  /** Pure: it is called again after a conflict. */
  act(block: IPAMBlockSpec): ReleaseOutcome;
  /** Write the block even when nothing is released. */
  readonly fence?: boolean;
}

/**
 * Releases addresses of one block, as `act` says, then counts their handles down. A block without
 * owner is deleted with its last address.
 *
 * @throws {IpamError} owner-changed: nothing is released in this block then.
 */
export async function releaseInBlock(
  records: IpamRecords,
  wanted: ReleaseAct,
): Promise<BlockRelease> {
  const { cidr } = wanted;
  const attempt = async () => {
    const read = await records.block(cidr);
    if (read === undefined) return null;
    const outcome = wanted.act(read.spec);
    if (outcome.kind === "mismatch") throw ownerChanged(read.spec, outcome);
    const left = await writeRelease(records, read, { outcome, fence: wanted.fence === true });
    return left === "raced" ? undefined : { outcome, left };
  };
  const done = await records.inTurn(cidr, () => records.retry(attempt));
  if (done === null) return { released: [], unallocated: [] };
  const { outcome, left } = done;
  for (const [handle, count] of outcome.handleCounts) {
    await records.decrementHandle(handle, cidr, count);
  }
  const addresses = (ordinals: readonly number[]) =>
    ordinals.map((ordinal) => addressOf(outcome.block, ordinal));
  return {
    released: addresses(outcome.ordinals),
    unallocated: addresses(outcome.unallocated),
    ...(left === "deleted" ? {} : { left }),
  };
}

async function writeRelease(
  records: IpamRecords,
  read: StoredBlock,
  change: {
    readonly outcome: Extract<ReleaseOutcome, { kind: "released" }>;
    readonly fence: boolean;
  },
): Promise<IPAMBlockSpec | "deleted" | "raced"> {
  const { outcome, fence } = change;
  if (outcome.ordinals.length === 0 && !fence) return read.spec;
  const spec = records.collect(
    outcome.ordinals.length === 0 ? bumpSequence(read.spec) : outcome.block,
  );
  if (spec.affinity === undefined && isEmpty(spec)) {
    return (await records.remove(read.resource)) ? "deleted" : "raced";
  }
  await records.updateBlock(read, spec);
  return spec;
}

function ownerChanged(
  block: IPAMBlockSpec,
  outcome: { readonly ordinal: number; readonly reason: string },
): IpamError {
  const address = addressOf(block, outcome.ordinal);
  return new IpamError(`Cannot release ${address}: ${outcome.reason}`, {
    code: "owner-changed",
    address,
  });
}

/**
 * Releases every address of a handle. A handle that does not exist is success.
 *
 * A count that a crash left too high is repaired: where a block has no address of the handle, an
 * assigner crashed or is about to write one, so the block is rewritten as it is. The latter then
 * finds a conflict, and not a handle that forgot it.
 */
export async function releaseHandleAddresses(
  records: IpamRecords,
  handle: string,
): Promise<BlockRelease[]> {
  const read = await records.handle(handle);
  if (read === undefined) return [];
  const releases: BlockRelease[] = [];
  for (const [block, count] of Object.entries(read.spec.block)) {
    const cidr = block as Prefix;
    const release = await releaseInBlock(records, {
      cidr,
      act: (spec) => releaseHandle(spec, handle, records.now()),
      fence: true,
    });
    releases.push(release);
    const surplus = count - release.released.length;
    if (surplus > 0) await records.decrementHandle(handle, cidr, surplus);
  }
  return releases;
}

/** An address to release. What is given besides the address must match. */
export interface ReleaseRequest {
  readonly address: IpAddr;
  readonly handle?: string;
  readonly sequenceNumber?: bigint;
}

/**
 * Releases addresses; those of one block all or none.
 *
 * @throws {IpamError} owner-changed
 */
export async function releaseAddresses(
  records: IpamRecords,
  requests: readonly ReleaseRequest[],
  pools: readonly Pool[],
): Promise<BlockRelease[]> {
  const blocks = await blocksOfAddresses(
    records,
    requests.map(({ address }) => address),
    pools,
  );
  const releases: BlockRelease[] = [];
  for (const [cidr, wanted] of groupBy(requests, ({ address }) => blocks.get(address))) {
    if (cidr === undefined) {
      releases.push({ released: [], unallocated: wanted.map(({ address }) => address) });
      continue;
    }
    const ordinals = wanted.map(({ address, ...match }) => ({
      ...match,
      ordinal: ordinalIn(cidr, address),
    }));
    const act = (block: IPAMBlockSpec) => release(block, ordinals, records.now());
    releases.push(await releaseInBlock(records, { cidr, act }));
  }
  return releases;
}

/** The blocks that hold addresses: found by the pool's block size, else by a search of all blocks. */
export async function blocksOfAddresses(
  records: IpamRecords,
  addresses: readonly IpAddr[],
  pools: readonly Pool[],
): Promise<Map<IpAddr, Prefix | undefined>> {
  let all: readonly StoredBlock[] | undefined;
  const blocks = new Map<IpAddr, Prefix | undefined>();
  for (const address of addresses) {
    const pool = poolOf(pools, address);
    const guess = pool === undefined ? undefined : prefixOf(address, pool.blockSize);
    if (guess !== undefined && (await records.block(guess)) !== undefined) {
      blocks.set(address, guess);
      continue;
    }
    all ??= await records.blocks();
    blocks.set(address, all.find(({ cidr }) => prefixHasAddress(cidr, address))?.cidr);
  }
  return blocks;
}

/** Place of an address in its block. */
export function ordinalIn(block: Prefix, address: IpAddr): number {
  return Number(ipBits(address) - ipBits(prefixAddress(block)));
}
