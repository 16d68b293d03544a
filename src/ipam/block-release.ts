import type { IPAMBlockSpec } from "../api/resources/ipam.ts";
import { bumpSequence, ownerOf, sanitizeHandle } from "./block.ts";

/** One address of a block to release. What is given besides the ordinal must match. */
export interface OrdinalRelease {
  readonly ordinal: number;
  readonly handle?: string;
  readonly sequenceNumber?: bigint;
}

export type ReleaseOutcome =
  | {
      readonly kind: "released";
      readonly block: IPAMBlockSpec;
      /** Released now. Empty: the block is unchanged and need not be written. */
      readonly ordinals: readonly number[];
      /** They were free or cooling already. */
      readonly unallocated: readonly number[];
      /** How many of each handle's addresses were released. */
      readonly handleCounts: ReadonlyMap<string, number>;
    }
  /** Some address has another owner than the caller believes. Nothing is released. */
  | { readonly kind: "mismatch"; readonly ordinal: number; readonly reason: string };

/**
 * Releases addresses of a block: all, or none when one has another owner. They cool first; call
 * collectGarbage to free those whose time is over (at once with a cooldown of 0).
 */
export function release(
  block: IPAMBlockSpec,
  releases: readonly OrdinalRelease[],
  now: Date,
): ReleaseOutcome {
  const ordinals = new Set<number>();
  const unallocated: number[] = [];
  const handleCounts = new Map<string, number>();
  for (const wanted of releases) {
    const owner = ownerOf(block, wanted.ordinal);
    if (owner === undefined || owner.releasedAt !== undefined) {
      unallocated.push(wanted.ordinal);
      continue;
    }
    const handle = owner.handle_id ?? "";
    const reason = mismatch(block, wanted, handle);
    if (reason !== undefined) return { kind: "mismatch", ordinal: wanted.ordinal, reason };
    if (ordinals.has(wanted.ordinal)) continue;
    ordinals.add(wanted.ordinal);
    handleCounts.set(handle, (handleCounts.get(handle) ?? 0) + 1);
  }
  return {
    kind: "released",
    block: ordinals.size === 0 ? block : cool(block, ordinals, now),
    ordinals: [...ordinals],
    unallocated,
    handleCounts,
  };
}

/** Releases every address that the handle holds in the block. */
export function releaseHandle(block: IPAMBlockSpec, handle: string, now: Date): ReleaseOutcome {
  return release(block, ordinalsOfHandle(block, handle), now);
}

/** Ordinals in use by the handle. */
export function ordinalsOfHandle(block: IPAMBlockSpec, handle: string): OrdinalRelease[] {
  const wanted = sanitizeHandle(handle);
  return block.allocations.flatMap((_, ordinal) => {
    const owner = ownerOf(block, ordinal);
    return owner?.releasedAt === undefined && owner?.handle_id === wanted ? [{ ordinal }] : [];
  });
}

function mismatch(
  block: IPAMBlockSpec,
  wanted: OrdinalRelease,
  handle: string,
): string | undefined {
  if (wanted.handle !== undefined && sanitizeHandle(wanted.handle) !== handle) {
    return `it belongs to handle "${handle}", not "${wanted.handle}"`;
  }
  const sequence = block.sequenceNumberForAllocation[wanted.ordinal];
  if (wanted.sequenceNumber !== undefined && wanted.sequenceNumber !== sequence) {
    return `it was assigned again since: sequence number ${sequence}, not ${wanted.sequenceNumber}`;
  }
  return undefined;
}

function cool(block: IPAMBlockSpec, ordinals: ReadonlySet<number>, now: Date): IPAMBlockSpec {
  const index = block.attributes.length;
  const sequences = { ...block.sequenceNumberForAllocation };
  for (const ordinal of ordinals) sequences[ordinal] = block.sequenceNumber;
  const cooled = {
    ...block,
    allocations: block.allocations.map((entry, i) => (ordinals.has(i) ? index : entry)),
    attributes: [...block.attributes, { releasedAt: now.toISOString() }],
    sequenceNumberForAllocation: sequences,
  };
  return bumpSequence(pruneAttributes(cooled));
}

/**
 * Frees addresses that have cooled for `cooldownMs`, and drops attributes that nothing refers to.
 *
 * @returns the same object when there is nothing to do.
 */
export function collectGarbage(block: IPAMBlockSpec, cooldownMs: number, now: Date): IPAMBlockSpec {
  const isCold = block.attributes.map(
    ({ releasedAt }) =>
      releasedAt !== undefined && Date.parse(releasedAt) + cooldownMs <= now.getTime(),
  );
  if (!isCold.includes(true)) return pruneAttributes(block);
  const cold = new Set<number>();
  block.allocations.forEach((index, ordinal) => {
    if (index !== null && isCold[index] === true) cold.add(ordinal);
  });
  if (cold.size === 0) return pruneAttributes(block);
  const sequences = { ...block.sequenceNumberForAllocation };
  for (const ordinal of cold) delete sequences[ordinal];
  return pruneAttributes({
    ...block,
    allocations: block.allocations.map((entry, i) => (cold.has(i) ? null : entry)),
    unallocated: [...block.unallocated, ...cold],
    sequenceNumberForAllocation: sequences,
  });
}

/** Without attributes that no address refers to. */
export function pruneAttributes(block: IPAMBlockSpec): IPAMBlockSpec {
  const isUsed = block.attributes.map(() => false);
  for (const index of block.allocations) if (index !== null) isUsed[index] = true;
  if (!isUsed.includes(false)) return block;
  const kept = block.attributes.flatMap((_, index) => (isUsed[index] === true ? [index] : []));
  const moved = new Map(kept.map((before, after) => [before, after]));
  return {
    ...block,
    allocations: block.allocations.map((entry) =>
      entry === null ? null : (moved.get(entry) ?? null),
    ),
    attributes: block.attributes.filter((_, index) => moved.has(index)),
  };
}
