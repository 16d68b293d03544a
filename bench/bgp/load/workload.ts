import { announcement, nlriOf, withdrawal } from "./messages.ts";

/**
 * Prefixes of a load lie in equal slots of the address space, so that a receiver turns a prefix into
 * its index by a subtraction and a shift.
 */
export interface PrefixSpace {
  readonly base: number;
  /** A slot has 2 ** slotBits addresses. */
  readonly slotBits: number;
  readonly count: number;
}

/** /26 blocks from 10.128.0.0, as nodes of a cluster have. */
export function blockSpace(count: number): PrefixSpace {
  return { base: 0x0a800000, slotBits: 6, count };
}

/** From 16.0.0.0, a prefix in every 1024 addresses: none is loopback, multicast or a client's. */
export function tableSpace(count: number): PrefixSpace {
  return { base: 0x10000000, slotBits: 10, count };
}

/** Lengths of a full table in small: two thirds are /24. */
const tableLengths = [24, 24, 23, 24, 24, 22] as const;

export function blockAddress(space: PrefixSpace, index: number): number {
  return space.base + index * 2 ** space.slotBits;
}

function blockNlri(space: PrefixSpace, from: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => nlriOf(blockAddress(space, from + i), 26)).flat();
}

/** One UPDATE with `count` /26 from slot `from` on. */
export function announceBlocks(
  space: PrefixSpace,
  {
    from,
    count,
    nextHop,
  }: { readonly from: number; readonly count: number; readonly nextHop: number },
): Uint8Array {
  return announcement({ asPath: [], nextHop }, blockNlri(space, from, count));
}

export function withdrawBlocks(space: PrefixSpace, from: number, count: number): Uint8Array {
  return withdrawal(blockNlri(space, from, count));
}

/** Prefixes that share attributes: 5.88 on average, so a million of them have 170,000 sets. */
const setSizes = [1, 2, 1, 4, 9, 1, 3, 22, 2, 6, 1, 12, 4, 2, 8, 16, 6] as const;

/**
 * A full table as the UPDATEs of one peer: each attribute set is one UPDATE, paths of 2 to 6 ASes,
 * 0 to 4 communities, a MED in every eighth. The same bytes on every run.
 */
export function fullTable(
  space: PrefixSpace,
  nextHop: number,
): { readonly bytes: Uint8Array; readonly attributeSets: number } {
  const messages: Uint8Array[] = [];
  let sets = 0;
  for (let at = 0; at < space.count; sets++) {
    const size = Math.min(setSizes[sets % setSizes.length] ?? 1, space.count - at);
    const nlri: number[] = [];
    for (const end = at + size; at < end; at++) {
      nlri.push(...nlriOf(blockAddress(space, at), tableLengths[at % tableLengths.length] ?? 24));
    }
    messages.push(announcement(attributesOf(sets, nextHop), nlri));
  }
  return { bytes: Buffer.concat(messages), attributeSets: sets };
}

/** The last AS and the community of the set make it distinct. */
function attributesOf(set: number, nextHop: number) {
  const transit = Array.from(
    { length: 1 + (set % 5) },
    (_, i) => 1000 + ((set * 7 + i * 131) % 3000),
  );
  const communities = Array.from({ length: set % 5 }, (_, i) => 0x0bb80000 + ((set + i) & 0xffff));
  return {
    asPath: [...transit, 200_000 + set],
    nextHop,
    ...(set % 8 === 0 ? { med: set % 100 } : {}),
    ...(communities.length === 0 ? {} : { communities }),
  };
}
