import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import type { Prefix } from "../../lib/prefix.ts";
import type { PackedPrefixes, PathAttributes } from "../wire/message.ts";
import { AdjRibIn, localPeer, type StoredPath } from "./adj-rib-in.ts";
import type { AttributeStore } from "./attribute-store.ts";
import { type Decision, decide, type Path } from "./decision.ts";
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

/** All RIBs of one family: what peers tell goes in, decisions on what changed come out. */
export class FamilyRib {
  readonly family: IpFamily;
  readonly table: PrefixTable;
  readonly adjIn: AdjRibIn;
  readonly loc: LocRib;
  readonly #attributes: AttributeStore;
  readonly #dirty = new IdSet();

  constructor(family: IpFamily, attributes: AttributeStore) {
    this.family = family;
    this.#attributes = attributes;
    this.table = new PrefixTable(family);
    this.adjIn = new AdjRibIn(attributes);
    this.loc = new LocRib(attributes);
  }

  get isDirty(): boolean {
    return this.#dirty.size > 0;
  }

  /** Takes all prefixes of one announcement. */
  announce(
    peer: number,
    prefixes: PackedPrefixes,
    route: { readonly attributes: PathAttributes; readonly nextHop: IpAddr | undefined },
  ): void {
    const attributesId = this.#attributes.intern(route.attributes, route.nextHop);
    for (let index = 0; index < prefixes.count; index++) {
      const prefixId = this.table.add(prefixes, index);
      this.#attributes.retain(attributesId);
      if (this.adjIn.set(prefixId, peer, attributesId)) this.#dirty.add(prefixId);
    }
    this.#attributes.release(attributesId);
  }

  withdraw(peer: number, prefixes: PackedPrefixes): void {
    for (let index = 0; index < prefixes.count; index++) {
      const prefixId = this.table.find(prefixes, index);
      if (prefixId >= 0 && this.adjIn.remove(prefixId, peer)) this.#dirty.add(prefixId);
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
    for (const prefixId of this.adjIn.removePeer(peer, which)) this.#dirty.add(prefixId);
  }

  /** All prefixes are to be decided again. */
  markAll(): void {
    for (const prefixId of this.table.ids()) this.#dirty.add(prefixId);
  }

  /** Decides every prefix that has changed. The prefixes keep their ids until `sweep`. */
  decideDirty(
    judge: Judge,
    onDecided: (prefixId: number, decision: Decision, changed: boolean) => void,
  ): readonly number[] {
    const prefixIds = this.#dirty.take();
    for (const prefixId of prefixIds) {
      const decision = this.decideOne(prefixId, judge);
      const changed = this.loc.set(prefixId, decision.best);
      onDecided(prefixId, decision, changed);
    }
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

  /** Frees the ids of prefixes to which no path is left. */
  sweep(prefixIds: readonly number[]): void {
    for (const prefixId of prefixIds) {
      if (!this.adjIn.hasPaths(prefixId)) this.table.remove(prefixId);
    }
  }
}
