import { type Prefix, prefixContains, prefixSize } from "../lib/prefix.ts";
import { countAddresses } from "./block.ts";
import type { StoredBlock } from "./ipam-records.ts";
import type { Pool } from "./pools.ts";

export interface BlockUtilization {
  readonly cidr: Prefix;
  /** "host:<node>"; absent when nobody owns the block. */
  readonly affinity?: string;
  readonly capacity: number;
  readonly inUse: number;
  readonly cooling: number;
  readonly free: number;
}

export interface PoolUtilization {
  /** Absent for blocks that lie in no pool. */
  readonly pool?: string;
  readonly cidr?: Prefix;
  /** A bigint: an IPv6 pool has more than 2^53 addresses. */
  readonly capacity: bigint;
  readonly inUse: number;
  readonly cooling: number;
  /** What can still be handed out. Space without blocks counts. */
  readonly available: bigint;
  readonly blocks: readonly BlockUtilization[];
}

/** How full pools are; blocks in no pool come last, as one entry (facts 3.7). Pure. */
export function utilizationOf(
  pools: readonly Pool[],
  blocks: readonly StoredBlock[],
): PoolUtilization[] {
  const counted = blocks.map(utilizationOfBlock);
  const ofPools = pools.map((pool): PoolUtilization => {
    const inside = counted.filter(({ cidr }) => prefixContains(pool.cidr, cidr));
    const capacity = prefixSize(pool.cidr);
    return { pool: pool.name, cidr: pool.cidr, capacity, ...sums(inside, capacity) };
  });
  const orphans = counted.filter(
    ({ cidr }) => !pools.some((pool) => prefixContains(pool.cidr, cidr)),
  );
  if (orphans.length === 0) return ofPools;
  const capacity = BigInt(orphans.reduce((sum, block) => sum + block.capacity, 0));
  return [...ofPools, { capacity, ...sums(orphans, capacity) }];
}

function utilizationOfBlock({ cidr, spec }: StoredBlock): BlockUtilization {
  return {
    cidr,
    ...(spec.affinity === undefined ? {} : { affinity: spec.affinity }),
    capacity: spec.allocations.length,
    ...countAddresses(spec),
  };
}

function sums(
  blocks: readonly BlockUtilization[],
  capacity: bigint,
): Pick<PoolUtilization, "inUse" | "cooling" | "available" | "blocks"> {
  const inUse = blocks.reduce((sum, block) => sum + block.inUse, 0);
  const cooling = blocks.reduce((sum, block) => sum + block.cooling, 0);
  return { inUse, cooling, available: capacity - BigInt(inUse + cooling), blocks };
}
