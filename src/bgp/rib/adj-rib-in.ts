import type { AttributeStore } from "./attribute-store.ts";
import { IdColumn } from "./id-column.ts";
import { PathColumns } from "./path-columns.ts";

/** Peer number of routes that we originate: they are paths like those of a peer. */
export const localPeer = 0;

/** One path as the columns hold it. */
export interface StoredPath {
  /** Number of the path, unique while it exists: the path identifier that others are told. */
  readonly slot: number;
  /** Number of the peer, `localPeer` for our own. */
  readonly peer: number;
  /** As the peer told it (RFC 7911), else 0. */
  readonly pathId: number;
  readonly attributesId: number;
  /** Learned before the peer's restart and not yet learned again (RFC 4724 section 4.2). */
  readonly stale: boolean;
}

/** What a change of many paths does to one: the attributes it has from now on, 0: it goes. */
export type Rewrite = (attributesId: number) => number;

const flag = { inUse: 1, stale: 2, condemned: 4, rewritten: 8 } as const;
const isMarked = flag.condemned | flag.rewritten;
/** Of these a path that counts has `inUse` alone. */
const isPath = flag.inUse | flag.condemned;

/** Flags that a path must have and must not have, and those that it gets and loses. */
interface FlagChange {
  readonly needs?: number;
  readonly lacks?: number;
  readonly set: number;
  readonly clear?: number;
}

/**
 * What all peers have told of one family, and what we originate: the Adj-RIBs-In. The paths of one
 * prefix are a list in typed arrays (15 bytes a path, 19 with path identifiers), as a prefix has few
 * of them; what concerns one peer walks all paths, which is rare.
 *
 * Paths are kept as received. Import policy is asked at every decision, so that a change of
 * configuration needs no route refresh.
 *
 * Paths that go together are only marked at first, and count as gone; `sweep` takes them slice by
 * slice, so that a million of them do not hold up the event loop.
 */
export class AdjRibIn {
  readonly #attributes: AttributeStore;
  /** First path of each prefix; path numbers start at 1. */
  readonly #heads = new IdColumn();
  readonly #counts = new IdColumn();
  readonly #columns = new PathColumns();
  /** Number of stale paths of each peer. */
  readonly #staleCounts = new IdColumn();
  #size = 0;
  #marked = 0;
  #sweepAt = 1;
  #rewrite: Rewrite = () => 0;

  constructor(attributes: AttributeStore) {
    this.#attributes = attributes;
  }

  /** Number of paths. */
  get size(): number {
    return this.#size;
  }

  /** Some paths wait for `sweep`. */
  get isMarked(): boolean {
    return this.#marked > 0;
  }

  /** Number of paths of one peer. */
  countOf(peer: number): number {
    return this.#counts.get(peer);
  }

  /** Takes over one reference to the attributes. True when the peer's path has changed. */
  set(prefixId: number, peer: number, attributesId: number, pathId = 0): boolean {
    const known = this.#find(prefixId, peer, pathId);
    if (known === 0) {
      this.#append(prefixId, peer, attributesId, pathId);
      return true;
    }
    const before = this.#columns.attribute[known] as number;
    const flags = this.#columns.flags[known] as number;
    this.#columns.attribute[known] = attributesId;
    this.#columns.flags[known] = flag.inUse;
    this.#attributes.release(before);
    if ((flags & flag.stale) !== 0 && (flags & flag.condemned) === 0) this.#countStale(peer, -1);
    if ((flags & isMarked) === 0) return before !== attributesId;
    this.#marked--;
    if ((flags & flag.condemned) !== 0) this.#count(peer, 1);
    return true;
  }

  /** True when there was a path. */
  remove(prefixId: number, peer: number, pathId = 0): boolean {
    const path = this.#find(prefixId, peer, pathId);
    if (path === 0) return false;
    this.#unlink(path);
    return true;
  }

  hasPaths(prefixId: number): boolean {
    return this.#heads.get(prefixId) !== 0;
  }

  /** The number of the prefix' only path, 0 when there is none, -1 when there are more. */
  only(prefixId: number): number {
    const path = this.#heads.get(prefixId);
    if (path === 0) return 0;
    if (this.#columns.next[path] !== 0) return -1;
    return ((this.#columns.flags[path] as number) & flag.condemned) === 0 ? path : 0;
  }

  /** Of a path that was removed as well, until `reclaim`. */
  prefixAt(slot: number): number {
    return this.#columns.prefix[slot] as number;
  }

  peerAt(slot: number): number {
    return this.#columns.peer[slot] as number;
  }

  attributesAt(slot: number): number {
    return this.#columns.attribute[slot] as number;
  }

  pathAt(slot: number): StoredPath {
    return {
      slot,
      peer: this.#columns.peer[slot] as number,
      pathId: this.#columns.pathId?.[slot] ?? 0,
      attributesId: this.#columns.attribute[slot] as number,
      stale: ((this.#columns.flags[slot] as number) & flag.stale) !== 0,
    };
  }

  paths(prefixId: number): StoredPath[] {
    const paths: StoredPath[] = [];
    let path = this.#heads.get(prefixId);
    while (path !== 0) {
      if (((this.#columns.flags[path] as number) & flag.condemned) === 0)
        paths.push(this.pathAt(path));
      path = this.#columns.next[path] as number;
    }
    return paths;
  }

  /** Marks all paths of a peer. Gives their number. */
  markStale(peer: number): number {
    const { changed } = this.#mark(peer, { lacks: flag.stale, set: flag.stale });
    this.#countStale(peer, changed);
    return this.countOf(peer);
  }

  /** The paths of a peer, or its stale ones only, are gone from now on, and taken by `sweep`. */
  condemn(peer: number, which: "all" | "stale"): void {
    if (which === "stale" && this.#staleCounts.get(peer) === 0) return;
    const { changed, stale, rewritten } = this.#mark(peer, {
      ...(which === "stale" ? { needs: flag.stale } : {}),
      set: flag.condemned,
      clear: flag.rewritten,
    });
    this.#marked += changed - rewritten;
    this.#count(peer, -changed);
    this.#countStale(peer, -stale);
    this.#sweepAt = 1;
  }

  /** The stale paths of a peer get other attributes, by `sweep`. */
  rewriteStale(peer: number, rewrite: Rewrite): void {
    this.#rewrite = rewrite;
    if (this.#staleCounts.get(peer) === 0) return;
    const marks = { needs: flag.stale, lacks: flag.rewritten, set: flag.rewritten };
    this.#marked += this.#mark(peer, marks).changed;
    this.#sweepAt = 1;
  }

  /** Takes what is marked, `limit` paths at most, and tells the prefixes. */
  sweep(limit: number, onPrefix: (prefixId: number) => void): void {
    let left = Math.min(limit, this.#marked);
    while (left > 0) {
      const path = this.#sweepAt++;
      const flags = this.#columns.flags[path] as number;
      if ((flags & isMarked) === 0) continue;
      left--;
      onPrefix(this.#columns.prefix[path] as number);
      if ((flags & flag.condemned) !== 0) this.#unlink(path);
      else this.#rewriteOne(path);
    }
  }

  /** Numbers of removed paths may be given again: everybody has been told of their removal. */
  reclaim(): void {
    this.#columns.reclaim();
  }

  /** Prefixes of which `peer` has told a path. */
  prefixesOf(peer: number): number[] {
    const prefixes: number[] = [];
    this.#eachOf(peer, this.countOf(peer), (path) => {
      prefixes.push(this.#columns.prefix[path] as number);
    });
    return prefixes;
  }

  /** Visits the paths of a peer, which are `count`: the walk ends with the last of them. */
  #eachOf(peer: number, count: number, visit: (path: number) => void): void {
    const { end } = this.#columns;
    for (let path = 1, left = count; left > 0 && path < end; path++) {
      if (!this.#isOf(path, peer)) continue;
      left--;
      visit(path);
    }
  }

  #isOf(path: number, peer: number): boolean {
    const flags = this.#columns.flags[path] as number;
    return (flags & isPath) === flag.inUse && this.#columns.peer[path] === peer;
  }

  /**
   * Changes the flags of a peer's paths that have and lack others. Gives the number, and how many of them
   * were stale or rewritten. One loop: of a million paths in half the time that a callback for each takes.
   */
  #mark(peer: number, { needs = 0, lacks = 0, set, clear = 0 }: FlagChange) {
    const { flags, peer: peers, end } = this.#columns;
    const counts = { changed: 0, stale: 0, rewritten: 0 };
    let left = this.countOf(peer);
    for (let path = 1; left > 0 && path < end; path++) {
      const before = flags[path] as number;
      if ((before & isPath) !== flag.inUse || peers[path] !== peer) continue;
      left--;
      if ((before & needs) !== needs || (before & lacks) !== 0) continue;
      flags[path] = (before & ~clear) | set;
      counts.changed++;
      if ((before & flag.stale) !== 0) counts.stale++;
      if ((before & flag.rewritten) !== 0) counts.rewritten++;
    }
    return counts;
  }

  #rewriteOne(path: number): void {
    const before = this.#columns.attribute[path] as number;
    const after = this.#rewrite(before);
    if (after === 0) {
      this.#unlink(path);
      return;
    }
    this.#columns.attribute[path] = after;
    this.#columns.flags[path] = (this.#columns.flags[path] as number) & ~flag.rewritten;
    this.#marked--;
    this.#attributes.release(before);
  }

  #find(prefixId: number, peer: number, pathId: number): number {
    let path = this.#heads.get(prefixId);
    while (path !== 0) {
      if (this.#columns.peer[path] === peer && (this.#columns.pathId?.[path] ?? 0) === pathId)
        break;
      path = this.#columns.next[path] as number;
    }
    return path;
  }

  #append(prefixId: number, peer: number, attributesId: number, pathId: number): void {
    const path = this.#columns.take();
    this.#columns.prefix[path] = prefixId;
    this.#columns.peer[path] = peer;
    this.#columns.attribute[path] = attributesId;
    this.#columns.flags[path] = flag.inUse;
    this.#columns.next[path] = this.#heads.get(prefixId);
    this.#columns.setPathId(path, pathId);
    this.#heads.set(prefixId, path);
    this.#count(peer, 1);
    this.#size++;
  }

  #unlink(path: number): void {
    const prefixId = this.#columns.prefix[path] as number;
    const next = this.#columns.next[path] as number;
    let at = this.#heads.get(prefixId);
    if (at === path) this.#heads.set(prefixId, next);
    else {
      while (this.#columns.next[at] !== path) at = this.#columns.next[at] as number;
      this.#columns.next[at] = next;
    }
    const flags = this.#columns.flags[path] as number;
    if ((flags & isMarked) !== 0) this.#marked--;
    if ((flags & flag.condemned) === 0) {
      const peer = this.#columns.peer[path] as number;
      this.#count(peer, -1);
      if ((flags & flag.stale) !== 0) this.#countStale(peer, -1);
    }
    this.#attributes.release(this.#columns.attribute[path] as number);
    this.#columns.giveBack(path);
    this.#size--;
  }

  #count(peer: number, change: number): void {
    this.#counts.set(peer, this.#counts.get(peer) + change);
  }

  #countStale(peer: number, change: number): void {
    this.#staleCounts.set(peer, this.#staleCounts.get(peer) + change);
  }
}
