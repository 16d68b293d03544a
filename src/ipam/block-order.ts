import { addressBits, ipBits, ipFromBits } from "../lib/ip-addr.ts";
import { type Prefix, prefixAddress, prefixFamily, prefixLength } from "../lib/prefix.ts";

/** Hash FNV-1 of 32 bits: multiply, then xor (facts 3.3). */
export function fnv1(text: string): number {
  let hash = 2166136261;
  for (const octet of new TextEncoder().encode(text)) {
    hash = (Math.imul(hash, 16777619) ^ octet) >>> 0;
  }
  return hash;
}

/** The blocks of a pool in the order in which one host looks for a free one. */
export interface BlockOrder {
  readonly pool: Prefix;
  /** Prefix length of a block. */
  readonly blockSize: number;
  /** Index of the block to start with. */
  readonly start: bigint;
  /** From one block to the next, odd: as the count is a power of two, every block is met once. */
  readonly stride: bigint;
  /** Number of blocks in the pool. */
  readonly count: bigint;
}

/**
 * Order of a pool's blocks whose start and stride follow from `seed`: hosts seldom meet, and those that
 * met at one block part at the next. The seed is fnv1 of the host's name, or the time where a block is one address.
 */
export function blockOrder(pool: Prefix, blockSize: number, seed: number): BlockOrder {
  const count = 1n << BigInt(blockSize - prefixLength(pool));
  return { pool, blockSize, count, start: spread(seed) % count, stride: spread(~seed) | 1n };
}

/** 128 bits of a seed. Seeds of similar names differ in few bits: these do not. */
function spread(seed: number): bigint {
  let state = seed >>> 0;
  let bits = 0n;
  for (let word = 0; word < 4; word++) {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    bits = (bits << 32n) | BigInt((mixed ^ (mixed >>> 16)) >>> 0);
  }
  return bits;
}

/** All blocks, from the start on. Lazy: a pool may have 2^48 of them. */
export function* walkBlocks(order: BlockOrder): Generator<Prefix, void, undefined> {
  for (let step = 0n; step < order.count; step++) {
    yield blockAt(order, (order.start + step * order.stride) % order.count);
  }
}

function blockAt(order: BlockOrder, index: bigint): Prefix {
  const family = prefixFamily(order.pool);
  const hostBits = BigInt(addressBits[family] - order.blockSize);
  const base = ipBits(prefixAddress(order.pool));
  return `${ipFromBits(base + (index << hostBits), family)}/${order.blockSize}` as Prefix;
}

/** How many steps of walkBlocks lead to the block, which must lie in the pool. */
export function blockDistance(order: BlockOrder, block: Prefix): bigint {
  const hostBits = BigInt(addressBits[prefixFamily(order.pool)] - order.blockSize);
  const index = (ipBits(prefixAddress(block)) - ipBits(prefixAddress(order.pool))) >> hostBits;
  const offset = index - order.start + order.count;
  return (offset * inverseOf(order.stride)) % order.count;
}

/** Of an odd number modulo 2^128, by Newton's method: each step doubles the bits that are right. */
function inverseOf(odd: bigint): bigint {
  let inverse = odd;
  for (let bits = 3; bits < 128; bits *= 2)
    inverse = BigInt.asUintN(128, inverse * (2n - odd * inverse));
  return inverse;
}
