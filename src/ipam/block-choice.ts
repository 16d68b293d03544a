import { cidrName, cidrOfName } from "../api/names.ts";
import type { Prefix } from "../lib/prefix.ts";
import { prefixContains, prefixesOverlap } from "../lib/prefix.ts";
import { isEmpty, unreserved } from "./block.ts";
import { affineNode, hostAffinity } from "./block-affinity.ts";
import { type BlockOrder, blockDistance, blockOrder, fnv1, walkBlocks } from "./block-order.ts";
import type { StoredBlock } from "./ipam-records.ts";
import type { Pool } from "./pools.ts";
import { isReserved } from "./reservations.ts";

/** Where a node may find addresses when its known blocks are full. */
export type BlockChoice =
  /** No block is there yet. */
  | { readonly kind: "free"; readonly cidr: Prefix }
  /** It is the node's already, and has free addresses. */
  | { readonly kind: "own"; readonly cidr: Prefix }
  /** Another node holds it, but has used none of it for a while. */
  | {
      readonly kind: "reclaim";
      readonly cidr: Prefix;
      readonly node: string;
      readonly sequenceNumber: bigint;
    };

export interface ChoiceContext {
  readonly node: string;
  readonly now: Date;
  /** Blocks that were tried in vain. */
  readonly skip: ReadonlySet<Prefix>;
  /** Addresses that are not to be given away. */
  readonly reserved: readonly Prefix[];
}

const reclaimAfterMs = 60_000;

/**
 * The next block that nobody has, in the order of the pools and of the node's walk through each (facts 3.3).
 *
 * @param present names of all blocks that there are.
 */
export function freeBlock(
  pools: readonly Pool[],
  present: ReadonlySet<string>,
  context: ChoiceContext,
): Prefix | undefined {
  for (const pool of pools) {
    // A pool that was made anew with another block size: old blocks hold their addresses.
    const others = [...present]
      .filter((name) => !name.endsWith(`-${pool.blockSize}`))
      .flatMap((name) => cidrOfName(name) ?? [])
      .filter((cidr) => prefixesOverlap(pool.cidr, cidr));
    for (const cidr of walkBlocks(orderOf(pool, context))) {
      if (present.has(cidrName(cidr)) || context.skip.has(cidr)) continue;
      if (isReserved(cidr, context.reserved)) continue;
      if (others.some((other) => prefixesOverlap(other, cidr))) continue;
      return cidr;
    }
  }
  return undefined;
}

/**
 * Chooses the next block for a node (facts 3.3): one of its own with free addresses, else one that
 * nobody has, else another node's empty one that was claimed at least a minute ago.
 */
export function chooseBlock(
  pools: readonly Pool[],
  blocks: readonly StoredBlock[],
  context: ChoiceContext,
): BlockChoice | undefined {
  const mine = blocks.filter(
    ({ cidr, spec }) =>
      spec.affinity === hostAffinity(context.node) &&
      unreserved(spec, context.reserved).length > 0 &&
      !context.skip.has(cidr),
  );
  for (const pool of pools) {
    const [own] = nearestFirst(pool, mine, context);
    if (own !== undefined) return { kind: "own", cidr: own.cidr };
  }
  const cidr = freeBlock(pools, new Set(blocks.map(({ cidr }) => cidrName(cidr))), context);
  if (cidr !== undefined) return { kind: "free", cidr };
  return pools.flatMap((pool) => reclaimable(pool, blocks, context))[0];
}

function reclaimable(
  pool: Pool,
  blocks: readonly StoredBlock[],
  context: ChoiceContext,
): BlockChoice[] {
  const empty = blocks.filter(({ cidr, spec }) => {
    const node = affineNode(spec.affinity);
    const since = Date.parse(spec.affinityClaimTime ?? "1970-01-01T00:00:00Z");
    const old = context.now.getTime() - since >= reclaimAfterMs;
    if (node === undefined || node === context.node || !old) return false;
    return isEmpty(spec) && !context.skip.has(cidr) && !isReserved(cidr, context.reserved);
  });
  return nearestFirst(pool, empty, context).map(({ cidr, spec }) => {
    const node = affineNode(spec.affinity) ?? "";
    return { kind: "reclaim", cidr, node, sequenceNumber: spec.sequenceNumber };
  });
}

/** Blocks of the pool, in the order in which this node walks it. */
export function nearestFirst(
  pool: Pool,
  blocks: readonly StoredBlock[],
  context: Pick<ChoiceContext, "node" | "now">,
): StoredBlock[] {
  const order = orderOf(pool, context);
  const distances = new Map<StoredBlock, bigint>();
  for (const block of blocks) {
    if (prefixContains(pool.cidr, block.cidr)) {
      distances.set(block, blockDistance(order, block.cidr));
    }
  }
  const sorted = [...distances].sort(([, a], [, b]) => (a < b ? -1 : a > b ? 1 : 0));
  return sorted.map(([block]) => block);
}

function orderOf(pool: Pool, context: Pick<ChoiceContext, "node" | "now">): BlockOrder {
  const single = pool.blockSize === (pool.family === 4 ? 32 : 128);
  const seed = single ? context.now.getTime() : fnv1(context.node);
  return blockOrder(pool.cidr, pool.blockSize, seed);
}
