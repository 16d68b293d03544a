import type { AttributeStore } from "./attribute-store.ts";
import { IdColumn } from "./id-column.ts";
import { grown } from "./prefix-table.ts";

/** Peer number of routes that we originate: they are paths like those of a peer. */
export const localPeer = 0;

/** One path as the columns hold it. */
export interface StoredPath {
  /** Number of the peer, `localPeer` for our own. */
  readonly peer: number;
  readonly attributesId: number;
  /** Learned before the peer's restart and not yet learned again (RFC 4724 section 4.2). */
  readonly stale: boolean;
}

/**
 * What all peers have told of one family, and what we originate: the Adj-RIBs-In. The paths of one
 * prefix are a list in typed arrays (17 bytes a path), as a prefix has few of them; what concerns
 * one peer walks all paths, which is rare.
 *
 * Paths are kept as received. Import policy is asked at every decision, so that a change of
 * configuration needs no route refresh.
 */
export class AdjRibIn {
  readonly #attributes: AttributeStore;
  /** First path of each prefix; path numbers start at 1. */
  readonly #heads = new IdColumn();
  readonly #counts = new IdColumn();
  #prefix = new Uint32Array(1024);
  #peer = new Uint32Array(1024);
  #attribute = new Uint32Array(1024);
  #next = new Uint32Array(1024);
  #flags = new Uint8Array(1024);
  #free = 0;
  #end = 1;
  #size = 0;

  constructor(attributes: AttributeStore) {
    this.#attributes = attributes;
  }

  /** Number of paths. */
  get size(): number {
    return this.#size;
  }

  /** Number of paths of one peer. */
  countOf(peer: number): number {
    return this.#counts.get(peer);
  }

  /** Takes over one reference to the attributes. True when the peer's path has changed. */
  set(prefixId: number, peer: number, attributesId: number): boolean {
    const known = this.#find(prefixId, peer);
    if (known === 0) {
      this.#append(prefixId, peer, attributesId);
      return true;
    }
    const before = this.#attribute[known] as number;
    this.#attribute[known] = attributesId;
    this.#flags[known] = inUse;
    this.#attributes.release(before);
    return before !== attributesId;
  }

  /** True when there was a path. */
  remove(prefixId: number, peer: number): boolean {
    let before = 0;
    let path = this.#heads.get(prefixId);
    while (path !== 0 && this.#peer[path] !== peer) {
      before = path;
      path = this.#next[path] as number;
    }
    if (path === 0) return false;
    const next = this.#next[path] as number;
    if (before === 0) this.#heads.set(prefixId, next);
    else this.#next[before] = next;
    this.#attributes.release(this.#attribute[path] as number);
    this.#flags[path] = 0;
    this.#next[path] = this.#free;
    this.#free = path;
    this.#count(peer, -1);
    this.#size--;
    return true;
  }

  hasPaths(prefixId: number): boolean {
    return this.#heads.get(prefixId) !== 0;
  }

  paths(prefixId: number): StoredPath[] {
    const paths: StoredPath[] = [];
    let path = this.#heads.get(prefixId);
    while (path !== 0) {
      paths.push({
        peer: this.#peer[path] as number,
        attributesId: this.#attribute[path] as number,
        stale: this.#flags[path] === (inUse | stale),
      });
      path = this.#next[path] as number;
    }
    return paths;
  }

  /** Marks all paths of a peer. Gives their number. */
  markStale(peer: number): number {
    let count = 0;
    for (let path = 1; path < this.#end; path++) {
      if (this.#flags[path] === 0 || this.#peer[path] !== peer) continue;
      this.#flags[path] = inUse | stale;
      count++;
    }
    return count;
  }

  /** Removes the paths of a peer, or its stale ones only. Gives the prefixes. */
  removePeer(peer: number, which: "all" | "stale"): number[] {
    const prefixes: number[] = [];
    for (let path = 1; path < this.#end; path++) {
      const flags = this.#flags[path] as number;
      if (flags === 0 || this.#peer[path] !== peer) continue;
      if (which === "all" || flags === (inUse | stale)) {
        prefixes.push(this.#prefix[path] as number);
      }
    }
    for (const prefixId of prefixes) this.remove(prefixId, peer);
    return prefixes;
  }

  /** Prefixes of which `peer` has told a path. */
  prefixesOf(peer: number): number[] {
    const prefixes: number[] = [];
    for (let path = 1; path < this.#end; path++) {
      if (this.#flags[path] !== 0 && this.#peer[path] === peer) {
        prefixes.push(this.#prefix[path] as number);
      }
    }
    return prefixes;
  }

  /** Number of paths of each peer. */
  countByPeer(): Map<number, number> {
    const counts = new Map<number, number>();
    for (let path = 1; path < this.#end; path++) {
      const peer = this.#peer[path] as number;
      if (this.#flags[path] !== 0) counts.set(peer, (counts.get(peer) ?? 0) + 1);
    }
    return counts;
  }

  #find(prefixId: number, peer: number): number {
    let path = this.#heads.get(prefixId);
    while (path !== 0 && this.#peer[path] !== peer) path = this.#next[path] as number;
    return path;
  }

  #append(prefixId: number, peer: number, attributesId: number): void {
    const path = this.#newPath();
    this.#prefix[path] = prefixId;
    this.#peer[path] = peer;
    this.#attribute[path] = attributesId;
    this.#flags[path] = inUse;
    this.#next[path] = this.#heads.get(prefixId);
    this.#heads.set(prefixId, path);
    this.#count(peer, 1);
    this.#size++;
  }

  #count(peer: number, change: number): void {
    this.#counts.set(peer, this.#counts.get(peer) + change);
  }

  #newPath(): number {
    if (this.#free !== 0) {
      const path = this.#free;
      this.#free = this.#next[path] as number;
      return path;
    }
    if (this.#end === this.#peer.length) this.#grow(this.#end * 2);
    return this.#end++;
  }

  #grow(capacity: number): void {
    this.#prefix = grown(this.#prefix, new Uint32Array(capacity));
    this.#peer = grown(this.#peer, new Uint32Array(capacity));
    this.#attribute = grown(this.#attribute, new Uint32Array(capacity));
    this.#next = grown(this.#next, new Uint32Array(capacity));
    this.#flags = grown(this.#flags, new Uint8Array(capacity));
  }
}

const inUse = 1;
const stale = 2;
