import { invariant } from "../../lib/brand.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";
import type { PathAttributes } from "../wire/message.ts";
import { encodeRoute } from "../wire/route-bytes.ts";
import { grown } from "./prefix-table.ts";
import { RouteView } from "./route-view.ts";

/** Attributes with their next hop, kept once however many routes carry them. */
export type InternedAttributes = RouteView;

const initialIds = 1024;
/** Octets are in slabs: to move all of them to a greater buffer would hold up the event loop. */
const slabBits = 18;
const slabBytes = 1 << slabBits;
/** Ids are found in so many parts, each of which grows on its own. */
const partBits = 8;
const partCount = 1 << partBits;
const initialSlots = 16;
const viewCount = 256;
/** Ids share their slots with 8 bits of the hash. */
const idMask = 0xffffff;

/**
 * Every attribute set that a RIB refers to, by id. The RIBs count references, so an id stays what
 * it is for as long as one of them has it.
 *
 * A hot path: a full table has 170,000 sets. They are kept as octets, one behind the other in slabs
 * that are never written to again, and found by a hash of them (measured on Node 24: 0.25 us a set of
 * 60 octets, found or new, and 80 bytes; as objects under a JSON key 7 us and 1,900 bytes). A slab with
 * little left in it is given up: what is left moves.
 */
export class AttributeStore {
  readonly #slabs: (Uint8Array | undefined)[] = [new Uint8Array(slabBytes)];
  /** Octets of each slab that are in use. */
  readonly #used: number[] = [0];
  /** Numbers of slabs that were given up. */
  readonly #freeSlabs: number[] = [];
  /** The slab that is being filled, and how far it is. */
  #slab = 0;
  #end = 0;
  /** Where each id begins: number of the slab, then the place in it. */
  #starts = new Uint32Array(initialIds);
  #lengths = new Uint32Array(initialIds);
  #references = new Uint32Array(initialIds);
  #hashes = new Uint32Array(initialIds);
  /** Ids by hash, open addressing, with the upper bits of their hash; 0 is empty. */
  readonly #parts: Uint32Array[] = Array.from(
    { length: partCount },
    () => new Uint32Array(initialSlots),
  );
  /** Ids of each part. */
  readonly #sizes = new Uint32Array(partCount);
  #free: number[] = [];
  #idEnd = 1;
  #size = 0;
  /** Of the ids that were asked for last. */
  readonly #views: (RouteView | undefined)[] = Array.from({ length: viewCount }, () => undefined);

  get size(): number {
    return this.#size;
  }

  /** One more than the greatest id that was ever given. */
  get idEnd(): number {
    return this.#idEnd;
  }

  /** Id of the attributes, with one more reference, which the caller gives back by `release`. */
  intern(attributes: PathAttributes, nextHop: IpAddr | undefined): number {
    return this.internBytes(encodeRoute(attributes, nextHop));
  }

  /** As `intern`, of route bytes (route-bytes.ts) at `start` of a buffer, which are copied. */
  internBytes(route: Uint8Array, length: number = route.length, start: number = 0): number {
    const hash = hashOf(route, start, length);
    const slots = this.#parts[hash & (partCount - 1)] as Uint32Array;
    const mask = slots.length - 1;
    let slot = homeOf(hash) & mask;
    for (let entry = slots[slot] as number; entry !== 0; entry = slots[slot] as number) {
      const id = entry & idMask;
      if (((entry ^ hash) & ~idMask) === 0 && this.#equals(id, route, start, length)) {
        this.#references[id] = (this.#references[id] as number) + 1;
        return id;
      }
      slot = (slot + 1) & mask;
    }
    return this.#add(route, start, length, hash);
  }

  get(id: number): InternedAttributes {
    const known = this.#views[id & (viewCount - 1)];
    if (known?.id === id) return known;
    this.#check(id);
    const start = this.startOf(id);
    const view = new RouteView(id, this.bufferOf(id), start, start + this.lengthOf(id));
    this.#views[id & (viewCount - 1)] = view;
    return view;
  }

  /** The buffer that has the octets of an id from `startOf` on, `lengthOf` of them. */
  bufferOf(id: number): Uint8Array {
    return this.#slabs[(this.#starts[id] as number) >>> slabBits] as Uint8Array;
  }

  startOf(id: number): number {
    return (this.#starts[id] as number) & (slabBytes - 1);
  }

  lengthOf(id: number): number {
    return this.#lengths[id] as number;
  }

  /** Adds references. */
  retain(id: number, count: number = 1): void {
    this.#check(id);
    this.#references[id] = (this.#references[id] as number) + count;
  }

  release(id: number): void {
    this.#check(id);
    const left = (this.#references[id] as number) - 1;
    this.#references[id] = left;
    if (left > 0) return;
    this.#unlink(id);
    if (this.#views[id & (viewCount - 1)]?.id === id) this.#views[id & (viewCount - 1)] = undefined;
    this.#free.push(id);
    this.#size--;
    this.#leave(id);
  }

  #add(route: Uint8Array, start: number, length: number, hash: number): number {
    const id = this.#newId();
    this.#store(id, route, start, length);
    this.#lengths[id] = length;
    this.#references[id] = 1;
    this.#hashes[id] = hash;
    this.#size++;
    this.#link(id);
    return id;
  }

  #store(id: number, from: Uint8Array, start: number, length: number): void {
    if (this.#end + length > slabBytes) this.#beginSlab();
    copyBytes(from, start, this.#slabs[this.#slab] as Uint8Array, this.#end, length);
    this.#starts[id] = this.#slab * slabBytes + this.#end;
    this.#used[this.#slab] = (this.#used[this.#slab] as number) + length;
    this.#end += length;
  }

  #newId(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const id = this.#idEnd++;
    invariant(id < idMask, "there are at most 16 million attribute sets");
    if (id < this.#starts.length) return id;
    const capacity = this.#starts.length * 2;
    this.#starts = grown(this.#starts, new Uint32Array(capacity));
    this.#lengths = grown(this.#lengths, new Uint32Array(capacity));
    this.#references = grown(this.#references, new Uint32Array(capacity));
    this.#hashes = grown(this.#hashes, new Uint32Array(capacity));
    return id;
  }

  #equals(id: number, route: Uint8Array, start: number, length: number): boolean {
    if (this.#lengths[id] !== length) return false;
    const bytes = this.bufferOf(id);
    const known = this.startOf(id);
    for (let i = 0; i < length; i++) if (bytes[known + i] !== route[start + i]) return false;
    return true;
  }

  #link(id: number): void {
    const part = (this.#hashes[id] as number) & (partCount - 1);
    const size = (this.#sizes[part] as number) + 1;
    this.#sizes[part] = size;
    if (size * 10 > (this.#parts[part] as Uint32Array).length * 7) this.#enlarge(part);
    this.#place(id, this.#parts[part] as Uint32Array);
  }

  #place(id: number, slots: Uint32Array): void {
    const hash = this.#hashes[id] as number;
    const mask = slots.length - 1;
    let slot = homeOf(hash) & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = (hash & ~idMask) | id;
  }

  #unlink(id: number): void {
    const hash = this.#hashes[id] as number;
    const part = hash & (partCount - 1);
    this.#sizes[part] = (this.#sizes[part] as number) - 1;
    const slots = this.#parts[part] as Uint32Array;
    const mask = slots.length - 1;
    let hole = homeOf(hash) & mask;
    while (((slots[hole] as number) & idMask) !== id) hole = (hole + 1) & mask;
    for (let at = (hole + 1) & mask; slots[at] !== 0; at = (at + 1) & mask) {
      const home = homeOf(this.#hashes[(slots[at] as number) & idMask] as number) & mask;
      // An entry that is nearer to its home than to the hole would lie before its home there.
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      slots[hole] = slots[at] as number;
      hole = at;
    }
    slots[hole] = 0;
  }

  #enlarge(part: number): void {
    const before = this.#parts[part] as Uint32Array;
    const slots = new Uint32Array(before.length * 2);
    for (const entry of before) if (entry !== 0) this.#place(entry & idMask, slots);
    this.#parts[part] = slots;
  }

  #beginSlab(): void {
    const free = this.#freeSlabs.pop() ?? this.#slabs.length;
    const before = this.#slab;
    this.#slabs[free] = new Uint8Array(slabBytes);
    this.#used[free] = 0;
    this.#slab = free;
    this.#end = 0;
    this.#giveUp(before);
  }

  /** The octets of an id are of no use any more. Views of them stay what they are. */
  #leave(id: number): void {
    const slab = (this.#starts[id] as number) >>> slabBits;
    this.#used[slab] = (this.#used[slab] as number) - (this.#lengths[id] as number);
    this.#giveUp(slab);
  }

  /** Gives up a slab of which less than an eighth is in use. */
  #giveUp(slab: number): void {
    if (slab === this.#slab || (this.#used[slab] as number) * 8 >= slabBytes) return;
    const bytes = this.#slabs[slab] as Uint8Array;
    this.#slabs[slab] = undefined;
    for (let id = 1, left = this.#used[slab] as number; left > 0 && id < this.#idEnd; id++) {
      const start = this.#starts[id] as number;
      if (start >>> slabBits !== slab || this.#references[id] === 0) continue;
      const length = this.#lengths[id] as number;
      this.#store(id, bytes, start & (slabBytes - 1), length);
      left -= length;
    }
    this.#freeSlabs.push(slab);
  }

  #check(id: number): void {
    invariant((this.#references[id] ?? 0) > 0, "attributes that are used are referred to");
  }
}

function homeOf(hash: number): number {
  return hash >>> partBits;
}

/** A peer must not be able to choose what collides. */
const seed = Math.floor(Math.random() * 2 ** 32);

/** A loop: for so few octets faster than a view and its set(). */
function copyBytes(
  from: Uint8Array,
  start: number,
  to: Uint8Array,
  at: number,
  length: number,
): void {
  for (let i = 0; i < length; i++) to[at + i] = from[start + i] as number;
}

function hashOf(bytes: Uint8Array, start: number, length: number): number {
  const end = start + length;
  let hash = length ^ seed;
  let i = start;
  for (; i + 4 <= end; i += 4) {
    const word =
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24);
    hash = Math.imul(hash ^ word, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  for (; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  return (hash ^ (hash >>> 15)) >>> 0;
}
