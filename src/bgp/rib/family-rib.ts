import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import { type Prefix, prefixFamily } from "../../lib/prefix.ts";
import type { PackedPrefixes, PathAttributes } from "../wire/message.ts";
import { AdjRibIn, localPeer, type Rewrite, type StoredPath } from "./adj-rib-in.ts";
import type { AttributeStore } from "./attribute-store.ts";
import { type Decision, decide, type Path, ranked } from "./decision.ts";
import { DecisionMemo, noPath } from "./decision-memo.ts";
import { IdSet } from "./id-column.ts";
import { LocRib } from "./loc-rib.ts";
import { PrefixTable } from "./prefix-table.ts";

/** A route that we originate. Export policy adds what a peer needs. */
export interface LocalRoute {
  readonly attributes: PathAttributes;
  /** Absent: ourselves. */
  readonly nextHop: IpAddr | undefined;
}

/**
 * A path that may be chosen, or the reason why it may not. `perPrefix`: other prefixes with the same
 * attributes from the same peer may fare differently.
 */
export type Candidate = ({ readonly path: Path } | { readonly rejected: string }) & {
  readonly perPrefix?: boolean;
};

/** What a stored path to a prefix is worth. */
export type Judge = (stored: StoredPath, prefixId: number) => Candidate;

/** A path with its number in the Adj-RIB-In. */
export interface NumberedPath {
  readonly slot: number;
  readonly path: Path;
}

/** Items of a list, `end` not included. Valid until the next. */
export interface Run {
  readonly start: number;
  readonly end: number;
}

/** All RIBs of one family: what peers tell goes in, decisions on what changed come out. */
export class FamilyRib {
  readonly family: IpFamily;
  readonly table: PrefixTable;
  readonly adjIn: AdjRibIn;
  readonly loc: LocRib;
  readonly #attributes: AttributeStore;
  readonly #dirty = new IdSet();
  readonly #memo = new DecisionMemo();
  /** `markAll` has come to this prefix. */
  #markAt = Number.POSITIVE_INFINITY;

  constructor(family: IpFamily, attributes: AttributeStore) {
    this.family = family;
    this.#attributes = attributes;
    this.table = new PrefixTable(family);
    this.adjIn = new AdjRibIn(attributes);
    this.loc = new LocRib(attributes);
  }

  get isDirty(): boolean {
    return this.#dirty.size > 0 || this.adjIn.isMarked || this.#markAt < this.table.idEnd;
  }

  /** Takes all prefixes of one announcement. Takes over one reference to the attributes. */
  announce(peer: number, prefixes: PackedPrefixes, attributesId: number): void {
    const { table, adjIn } = this;
    const { pathIds } = prefixes;
    this.#attributes.retain(attributesId, prefixes.count);
    for (let index = 0; index < prefixes.count; index++) {
      const prefixId = table.add(prefixes, index);
      if (adjIn.set(prefixId, peer, attributesId, pathIds?.[index] ?? 0)) this.#dirty.add(prefixId);
    }
    this.#attributes.release(attributesId);
  }

  withdraw(peer: number, prefixes: PackedPrefixes): void {
    const { pathIds } = prefixes;
    for (let index = 0; index < prefixes.count; index++) {
      const prefixId = this.table.find(prefixes, index);
      if (prefixId < 0) continue;
      if (this.adjIn.remove(prefixId, peer, pathIds?.[index] ?? 0)) this.#dirty.add(prefixId);
    }
  }

  /** Replaces all that we originate. */
  originate(routes: ReadonlyMap<Prefix, LocalRoute>): void {
    for (const prefixId of this.adjIn.prefixesOf(localPeer)) {
      if (routes.has(this.table.prefixAt(prefixId))) continue;
      this.adjIn.remove(prefixId, localPeer);
      this.#dirty.add(prefixId);
    }
    for (const [prefix, { attributes, nextHop }] of routes) {
      const prefixId = this.table.addPrefix(prefix);
      const attributesId = this.#attributes.intern(attributes, nextHop);
      if (this.adjIn.set(prefixId, localPeer, attributesId)) this.#dirty.add(prefixId);
    }
  }

  /** Forgets the paths of a peer, or those of them that are stale. */
  dropPeer(peer: number, which: "all" | "stale"): void {
    this.adjIn.condemn(peer, which);
  }

  /** Gives the stale paths of a peer other attributes, or drops them. */
  rewriteStale(peer: number, rewrite: Rewrite): void {
    this.adjIn.rewriteStale(peer, rewrite);
  }

  /** A prefix is to be decided again, if it is known. */
  mark(prefix: Prefix): void {
    if (prefixFamily(prefix) !== this.family) return;
    const prefixId = this.table.findPrefix(prefix);
    if (prefixId >= 0) this.#dirty.add(prefixId);
  }

  /** All prefixes are to be decided again. */
  markAll(): void {
    this.#markAt = 0;
  }

  /**
   * Decides `limit` prefixes that have changed; those that come together with one decision are told
   * together. They keep their ids until `sweep`.
   */
  decideDirty(
    limit: number,
    judge: Judge,
    onDecided: (prefixIds: Uint32Array, at: Run, decision: Decision) => void,
  ): Uint32Array {
    this.adjIn.sweep(limit, (prefixId) => this.#dirty.add(prefixId));
    this.#markMore(limit);
    const prefixIds = this.#dirty.take(limit);
    const at = { start: 0, end: 0 };
    while (at.start < prefixIds.length) {
      const first = prefixIds[at.start] as number;
      const slot = this.adjIn.only(first);
      const decision = this.#decide(first, slot, judge);
      at.end = this.#isForAll(slot, decision)
        ? this.#runEnd(prefixIds, at.start, slot)
        : at.start + 1;
      for (let i = at.start; i < at.end; i++) this.loc.set(prefixIds[i] as number, decision.best);
      onDecided(prefixIds, at, decision);
      at.start = at.end;
    }
    this.#memo.clear();
    return prefixIds;
  }

  decideOne(prefixId: number, judge: Judge): Decision {
    const eligible: Path[] = [];
    for (const stored of this.adjIn.paths(prefixId)) {
      const candidate = judge(stored, prefixId);
      if ("path" in candidate) eligible.push(candidate.path);
    }
    return decide(eligible);
  }

  /** All paths to a prefix that may be used, best first (RFC 7911). */
  rankedPaths(prefixId: number, judge: Judge): readonly NumberedPath[] {
    const slots = new Map<Path, number>();
    for (const stored of this.adjIn.paths(prefixId)) {
      const candidate = judge(stored, prefixId);
      if ("path" in candidate) slots.set(candidate.path, stored.slot);
    }
    return ranked([...slots.keys()]).map((path) => ({ slot: slots.get(path) ?? 0, path }));
  }

  /** Frees the ids of prefixes to which no path is left, after a batch. */
  sweep(prefixIds: Uint32Array): void {
    for (let i = 0; i < prefixIds.length; i++) {
      const prefixId = prefixIds[i] as number;
      // Of several batches that are swept together two may have the same prefix.
      if (!this.adjIn.hasPaths(prefixId) && this.table.isUsed(prefixId)) {
        this.table.remove(prefixId);
      }
    }
    if (!this.isDirty) this.adjIn.reclaim();
  }

  #markMore(limit: number): void {
    const { table } = this;
    const end = Math.min(table.idEnd, this.#markAt + limit);
    for (; this.#markAt < end; this.#markAt++) {
      if (table.isUsed(this.#markAt)) this.#dirty.add(this.#markAt);
    }
    if (this.#markAt >= table.idEnd) this.#markAt = Number.POSITIVE_INFINITY;
  }

  /** Every prefix with this path alone fares the same. */
  #isForAll(slot: number, decision: Decision): boolean {
    if (slot <= 0) return false;
    const { adjIn } = this;
    return this.#memo.find(adjIn.peerAt(slot), adjIn.attributesAt(slot))?.alone === decision;
  }

  /** Prefixes from `start` to there have one path, which is as that in `slot`. */
  #runEnd(prefixIds: Uint32Array, start: number, slot: number): number {
    const { adjIn } = this;
    const peer = adjIn.peerAt(slot);
    const attributesId = adjIn.attributesAt(slot);
    let end = start + 1;
    for (; end < prefixIds.length; end++) {
      const other = adjIn.only(prefixIds[end] as number);
      if (other <= 0) break;
      if (adjIn.attributesAt(other) !== attributesId || adjIn.peerAt(other) !== peer) break;
    }
    return end;
  }

  /** `slot`: of its only path. */
  #decide(prefixId: number, slot: number, judge: Judge): Decision {
    if (slot === 0) return noPath;
    if (slot < 0)
      return this.decideOne(prefixId, (stored) => this.#judged(stored, prefixId, judge));
    const known = this.#memo.find(this.adjIn.peerAt(slot), this.adjIn.attributesAt(slot));
    if (known !== undefined) return known.alone;
    const stored = this.adjIn.pathAt(slot);
    const candidate = judge(stored, prefixId);
    if (candidate.perPrefix === true) {
      return "path" in candidate ? decide([candidate.path]) : noPath;
    }
    return this.#memo.add(stored.peer, stored.attributesId, candidate).alone;
  }

  #judged(stored: StoredPath, prefixId: number, judge: Judge): Candidate {
    const { peer, attributesId, pathId } = stored;
    // Two paths of one peer may have the same attributes: they are not one candidate.
    if (pathId !== 0) return judge(stored, prefixId);
    const known = this.#memo.find(peer, attributesId);
    if (known !== undefined) return known.candidate;
    const candidate = judge(stored, prefixId);
    if (candidate.perPrefix !== true) this.#memo.add(peer, attributesId, candidate);
    return candidate;
  }
}
