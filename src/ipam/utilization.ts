import { type Prefix, prefixContains, prefixSize } from "../lib/prefix.ts";
import { countAddresses, unreserved } from "./block.ts";
import type { StoredBlock } from "./ipam-records.ts";
import type { Pool } from "./pools.ts";
import { reservedSize } from "./reservations.ts";

export interface BlockUtilization {
  readonly cidr: Prefix;
  /** "host:<node>"; absent when nobody owns the block. */
  readonly affinity?: string;
  readonly capacity: number;
  readonly inUse: number;
  readonly cooling: number;
  /** Kept back by IPReservations, in use or not. */
  readonly reserved: number;
  /** What can still be handed out. */
  readonly available: number;
}

export interface PoolUtilization {
  /** Absent for blocks that lie in no pool. */
  readonly pool?: string;
  readonly cidr?: Prefix;
  /** A bigint: an IPv6 pool has more than 2^53 addresses. */
  readonly capacity: bigint;
  readonly inUse: number;
  readonly cooling: number;
  /** Kept back by IPReservations, in use or not; a bigint as capacity. */
  readonly reserved: bigint;
  /** What can still be handed out. Space without blocks counts. */
  readonly available: bigint;
  readonly blocks: readonly BlockUtilization[];
}

/** How full pools are; blocks in no pool come last, as one entry (facts 3.7). Pure. */
export function utilizationOf(
  pools: readonly Pool[],
  blocks: readonly StoredBlock[],
  reserved: readonly Prefix[],
): PoolUtilization[] {
  const counted = blocks.map((block) => utilizationOfBlock(block, reserved));
  const ofPools = pools.map((pool): PoolUtilization => {
    const inside = counted.filter(({ cidr }) => prefixContains(pool.cidr, cidr));
    const capacity = prefixSize(pool.cidr);
    const kept = reservedSize(pool.cidr, reserved);
    const sums = sumsOf(inside);
    const keptInBlocks = inside.reduce((sum, block) => sum + BigInt(block.reserved), 0n);
    const outside = capacity - BigInt(sums.capacity) - (kept - keptInBlocks);
    const available = outside + BigInt(sums.available);
    return { ...sums, pool: pool.name, cidr: pool.cidr, capacity, reserved: kept, available };
  });
  const orphans = counted.filter(
    ({ cidr }) => !pools.some((pool) => prefixContains(pool.cidr, cidr)),
  );
  if (orphans.length === 0) return ofPools;
  const sums = sumsOf(orphans);
  const reservedInAll = orphans.reduce((sum, block) => sum + BigInt(block.reserved), 0n);
  const capacity = BigInt(sums.capacity);
  const available = BigInt(sums.available);
  return [...ofPools, { ...sums, capacity, reserved: reservedInAll, available }];
}

function utilizationOfBlock(
  { cidr, spec }: StoredBlock,
  reserved: readonly Prefix[],
): BlockUtilization {
  const { inUse, cooling } = countAddresses(spec);
  return {
    cidr,
    ...(spec.affinity === undefined ? {} : { affinity: spec.affinity }),
    capacity: spec.allocations.length,
    inUse,
    cooling,
    reserved: Number(reservedSize(cidr, reserved)),
    available: unreserved(spec, reserved).length,
  };
}

function sumsOf(blocks: readonly BlockUtilization[]): {
  readonly capacity: number;
  readonly inUse: number;
  readonly cooling: number;
  readonly available: number;
  readonly blocks: readonly BlockUtilization[];
} {
  const sum = (field: "capacity" | "inUse" | "cooling" | "available") =>
    blocks.reduce((total, block) => total + block[field], 0);
  return {
    capacity: sum("capacity"),
    inUse: sum("inUse"),
    cooling: sum("cooling"),
    available: sum("available"),
    blocks,
  };
}
