import { invariant } from "../../lib/brand.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { Prefix } from "../../lib/prefix.ts";
import type { PackedPrefixes } from "../wire/message.ts";
import { packPrefixes, unpackPrefix, wordsOf } from "./packed-prefix.ts";

const initialIds = 1024;
/** The table is in so many parts, and so many neighbors are in the same one. */
const partBits = 8;
const partCount = 1 << partBits;
const runBits = 12;
const initialSlots = 16;
const maxReach = 64;
/** Ids and their tags share a slot: at most 16 million prefixes. */
const idMask = 0xffffff;

/**
 * The set of prefixes of one family that the RIBs of a speaker know, each with a small number, its
 * id, by which all RIBs keep their columns. An id is stable while its prefix is in the table, and is
 * given again after its removal. Ids start at 0.
 *
 * A hot path (measured with one million prefixes on Node 24: open addressing over typed arrays 48 to
 * 89 million inserts/s and 19 bytes a route, a Map of strings to objects 1.2 million and 181 bytes;
 * here, with ids between and growing from 1024 slots, 13 million inserts/s and 44 million lookups/s).
 * The hash keeps neighbors beside each other, as pod blocks come in runs. The table is in 256 parts that
 * grow each on its own, as to enlarge all at once would hold up the event loop for 70 ms. Where ranges of
 * several lengths pile up so that a probe takes over 64 steps, a part turns to a mixing hash for good.
 */
export class PrefixTable {
  readonly family: IpFamily;
  readonly #stride: 1 | 4;
  /**
   * Id + 1 below, 8 bits of a hash above, so that most slots of others are passed by without a look at
   * their prefix; 0 is empty. Deletion shifts back, so there are no tombstones.
   */
  readonly #parts: Uint32Array[] = Array.from(
    { length: partCount },
    () => new Uint32Array(initialSlots),
  );
  /** Entries of each part. */
  readonly #sizes = new Uint32Array(partCount);
  #words: Uint32Array;
  #lengths = new Uint8Array(initialIds);
  #used = new Uint8Array(initialIds);
  readonly #free: number[] = [];
  #idEnd = 0;
  #size = 0;
  /** 1: the part places by a mixing hash. */
  readonly #mixing = new Uint8Array(partCount);
  /**
   * Greatest distance of an entry from its home, by part. Runs of neighbors fill long stretches without a
   * gap: neither a search for what is not there nor a removal may walk to their end.
   */
  readonly #reaches = new Uint32Array(partCount);

  constructor(family: IpFamily) {
    this.family = family;
    this.#stride = wordsOf[family];
    this.#words = new Uint32Array(initialIds * this.#stride);
  }

  get size(): number {
    return this.#size;
  }

  /** One more than the greatest id that was ever given. */
  get idEnd(): number {
    return this.#idEnd;
  }

  /**
   * The table's own columns, by id, to be read at once and not kept: an id not in use reads as
   * whatever was there.
   */
  get packed(): PackedPrefixes {
    return {
      family: this.family,
      count: this.#idEnd,
      words: this.#words,
      lengths: this.#lengths,
    };
  }

  /** Id of prefix `index`, or -1. */
  find({ words, lengths }: PackedPrefixes, index: number): number {
    return this.#search(this.#hash(words, lengths, index), words, lengths, index);
  }

  /** Id of prefix `index`, which is put into the table when it is not there. */
  add({ words, lengths }: PackedPrefixes, index: number): number {
    const hash = this.#hash(words, lengths, index);
    const known = this.#search(hash, words, lengths, index);
    if (known >= 0) return known;
    const id = this.#newId();
    const at = id * this.#stride;
    for (let w = 0; w < this.#stride; w++) {
      this.#words[at + w] = words[index * this.#stride + w] as number;
    }
    this.#lengths[id] = lengths[index] as number;
    this.#used[id] = 1;
    this.#size++;
    this.#insert(id, hash);
    const part = partOf(hash);
    if ((this.#reaches[part] as number) > maxReach && this.#mixing[part] === 0) this.#mix(part);
    return id;
  }

  /** Frees an id in use. */
  remove(id: number): void {
    const hash = this.#hash(this.#words, this.#lengths, id);
    const part = partOf(hash);
    const slots = this.#parts[part] as Uint32Array;
    const mask = slots.length - 1;
    let hole = this.#home(hash, part) & mask;
    while (((slots[hole] as number) & idMask) !== id + 1) hole = (hole + 1) & mask;
    for (let at = (hole + 1) & mask; slots[at] !== 0; at = (at + 1) & mask) {
      const gap = (at - hole) & mask;
      if (gap > (this.#reaches[part] as number)) break;
      const other = ((slots[at] as number) & idMask) - 1;
      const home = this.#home(this.#hash(this.#words, this.#lengths, other), part) & mask;
      // An entry that is nearer to its home than to the hole would lie before its home there.
      if (((at - home) & mask) < gap) continue;
      slots[hole] = slots[at] as number;
      hole = at;
    }
    slots[hole] = 0;
    this.#sizes[part] = (this.#sizes[part] as number) - 1;
    this.#used[id] = 0;
    this.#free.push(id);
    this.#size--;
  }

  findPrefix(prefix: Prefix): number {
    return this.find(packPrefixes([prefix], this.family), 0);
  }

  addPrefix(prefix: Prefix): number {
    return this.add(packPrefixes([prefix], this.family), 0);
  }

  /** The prefix of an id in use. */
  prefixAt(id: number): Prefix {
    return unpackPrefix(this.packed, id);
  }

  isUsed(id: number): boolean {
    return this.#used[id] === 1;
  }

  /** Every id in use, ascending. The table may lose ids during the walk. */
  *ids(): Generator<number> {
    for (let id = 0; id < this.#idEnd; id++) if (this.#used[id] === 1) yield id;
  }

  #search(hash: number, words: Uint32Array, lengths: Uint8Array, index: number): number {
    const part = partOf(hash);
    const slots = this.#parts[part] as Uint32Array;
    const mask = slots.length - 1;
    const tag = tagOf(hash);
    const reach = this.#reaches[part] as number;
    let slot = this.#home(hash, part) & mask;
    for (let distance = 0; distance <= reach; distance++) {
      const entry = slots[slot] as number;
      if (entry === 0) return -1;
      if (((entry ^ tag) & ~idMask) === 0) {
        const id = (entry & idMask) - 1;
        if (this.#isAt(id, words, lengths, index)) return id;
      }
      slot = (slot + 1) & mask;
    }
    return -1;
  }

  #insert(id: number, hash: number): void {
    const part = partOf(hash);
    const size = (this.#sizes[part] as number) + 1;
    this.#sizes[part] = size;
    if (size * 10 > (this.#parts[part] as Uint32Array).length * 7) this.#enlarge(part);
    this.#place(id, hash);
  }

  /** Puts an id into the first empty slot from its home. */
  #place(id: number, hash: number): void {
    const part = partOf(hash);
    const slots = this.#parts[part] as Uint32Array;
    const mask = slots.length - 1;
    const home = this.#home(hash, part) & mask;
    let slot = home;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = tagOf(hash) | (id + 1);
    const distance = (slot - home) & mask;
    if (distance > (this.#reaches[part] as number)) this.#reaches[part] = distance;
  }

  #enlarge(part: number): void {
    this.#placeAnew(part, (this.#parts[part] as Uint32Array).length * 2);
  }

  /** Turns a part to a mixing hash. */
  #mix(part: number): void {
    this.#mixing[part] = 1;
    this.#placeAnew(part, (this.#parts[part] as Uint32Array).length);
  }

  #placeAnew(part: number, capacity: number): void {
    const before = this.#parts[part] as Uint32Array;
    this.#parts[part] = new Uint32Array(capacity);
    this.#reaches[part] = 0;
    for (let slot = 0; slot < before.length; slot++) {
      const id = ((before[slot] as number) & idMask) - 1;
      if (id >= 0) this.#place(id, this.#hash(this.#words, this.#lengths, id));
    }
  }

  #isAt(id: number, words: Uint32Array, lengths: Uint8Array, index: number): boolean {
    if (this.#lengths[id] !== lengths[index]) return false;
    if (this.#stride === 1) return this.#words[id] === words[index];
    for (let w = 0; w < 4; w++) {
      if (this.#words[id * 4 + w] !== words[index * 4 + w]) return false;
    }
    return true;
  }

  /** The lower bits say where a prefix belongs, the upper ones are its tag. */
  #hash(words: Uint32Array, lengths: Uint8Array, index: number): number {
    const length = lengths[index] as number;
    let upper = 0;
    let last = words[index * this.#stride] as number;
    if (this.#stride === 4) {
      // The word in which the prefix ends, and a hash of those before it.
      const end = length === 0 ? 0 : (length - 1) >>> 5;
      for (let w = 0; w < end; w++) {
        upper = Math.imul(upper ^ (words[index * 4 + w] as number), 0x85ebca6b);
        upper ^= upper >>> 15;
      }
      last = words[index * 4 + end] as number;
    }
    const tail = length & 31;
    const number = tail === 0 ? last : last >>> (32 - tail);
    return (number + upper + Math.imul(length, 0x9e3779b1)) | 0;
  }

  #home(hash: number, part: number): number {
    return this.#mixing[part] === 0 ? homeOf(hash) : mixed(hash);
  }

  #newId(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const id = this.#idEnd++;
    invariant(id < idMask, "there are at most 16 million prefixes");
    if (id >= this.#lengths.length) {
      const capacity = this.#lengths.length * 2;
      this.#lengths = grown(this.#lengths, new Uint8Array(capacity));
      this.#used = grown(this.#used, new Uint8Array(capacity));
      this.#words = grown(this.#words, new Uint32Array(capacity * this.#stride));
    }
    return id;
  }
}

function partOf(hash: number): number {
  return (hash >>> runBits) & (partCount - 1);
}

/** Where a prefix belongs in its part: neighbors are side by side. */
function homeOf(hash: number): number {
  return (hash & ((1 << runBits) - 1)) | ((hash >>> (runBits + partBits)) << runBits);
}

function mixed(hash: number): number {
  let mix = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  mix = Math.imul(mix ^ (mix >>> 15), 0x846ca68b);
  return mix ^ (mix >>> 16);
}

function tagOf(hash: number): number {
  return Math.imul(hash, 0x9e3779b1) & ~idMask;
}

/**
 * `to` with the content of `from`, which must not be used any more: its memory is free at once, not when
 * garbage is collected, which takes long where little else is made.
 */
export function grown<Column extends Uint8Array | Uint16Array | Uint32Array>(
  from: Column,
  to: Column,
): Column {
  to.set(from);
  // The library that TypeScript is told of is older than Node.
  (from.buffer as ArrayBuffer & { transfer(length: number): ArrayBuffer }).transfer(0);
  return to;
}
