import { getOrCreate } from "../../lib/collections.ts";
import { type IpAddr, ipFamily } from "../../lib/ip-addr.ts";
import { advertisementsOf } from "../config/communities.ts";
import type { SpeakerConfig } from "../config/speaker-config.ts";
import {
  type Advertisement,
  type ExportSelf,
  type ExportTarget,
  exportAttributes,
  exportedLocalPref,
  withCommunities,
} from "../policy/export-attributes.ts";
import {
  type ExportConfig,
  type ExportPeer,
  type ExportVerdict,
  exportRoute,
} from "../policy/export-policy.ts";
import { filterText, RouteFilters } from "../policy/filter.ts";
import { defaultLocalPref } from "../policy/import-policy.ts";
import { localPeer } from "../rib/adj-rib-in.ts";
import type { OutRoute } from "../rib/adj-rib-out.ts";
import type { AttributeStore } from "../rib/attribute-store.ts";
import type { FamilyRib } from "../rib/family-rib.ts";
import type { BestRoute } from "../rib/loc-rib.ts";
import { PrefixList } from "../rib/packed-prefix.ts";
import { type PeerBytes, UpdateGroup } from "../rib/update-group.ts";
import type { Forwarding } from "./forwarding.ts";
import { localAttributes, originatesDefault } from "./local-routes.ts";
import { isExternal, type PeerState, type SpeakerPeers } from "./speaker-peers.ts";

/** Export policy of a node, ready to be asked. */
export interface ExportRules {
  readonly config: ExportConfig;
  readonly advertisements: readonly Advertisement[];
  readonly normalPriority: SpeakerConfig["normalPriority"];
  readonly clusterId: number;
  readonly draining: boolean;
}

/** What export reads besides the RIB of its family. */
export interface ExportSource {
  readonly attributes: AttributeStore;
  readonly peers: SpeakerPeers;
  readonly forwarding: Pick<Forwarding, "interfaceOf">;
}

interface Group {
  readonly updates: UpdateGroup;
  readonly peer: ExportPeer;
  readonly target: ExportTarget;
  /** A default route with us as next hop, whatever the RIB has. */
  readonly defaultOriginate: boolean;
}

/** Export policy as a configuration asks for it. */
export function exportRules(config: SpeakerConfig, draining: boolean): ExportRules {
  const pools = (which: (pool: SpeakerConfig["pools"][number]) => boolean) =>
    new PrefixList(config.pools.filter(which).map(({ prefix }) => prefix));
  return {
    config: {
      ownBlocks: new PrefixList(config.confirmedBlocks),
      exportDisabledPools: pools((pool) => pool.exportDisabled),
      enabledPools: pools((pool) => !pool.disabled),
      reflectedServices: new PrefixList(config.reflectedServices),
    },
    advertisements: advertisementsOf(config.advertisements),
    normalPriority: config.normalPriority,
    clusterId: config.clusterId ?? config.routerId,
    draining,
  };
}

/** The Adj-RIBs-Out of one family: peers in groups, and the policy between Loc-RIB and groups. */
export class ExportGroups {
  readonly #rib: FamilyRib;
  readonly #attributes: AttributeStore;
  readonly #peers: SpeakerPeers;
  readonly #forwarding: ExportSource["forwarding"];
  readonly #groups = new Map<string, Group>();
  readonly #groupOf = new Map<number, string>();
  #rules: ExportRules | undefined;
  /** Attributes that a group gives to those of one source, while a batch lasts. */
  readonly #batch = new Map<Group, Map<string, number>>();

  constructor(rib: FamilyRib, { attributes, peers, forwarding }: ExportSource) {
    this.#rib = rib;
    this.#attributes = attributes;
    this.#peers = peers;
    this.#forwarding = forwarding;
  }

  /** Takes effect with the next `export` of each prefix. */
  setRules(rules: ExportRules): void {
    this.#rules = rules;
  }

  /** Tells all groups of the route that is now the best to a prefix. */
  export(prefixId: number, best: BestRoute | undefined): void {
    for (const group of this.#groups.values()) {
      group.updates.update(prefixId, this.#routeFor(group, prefixId, best));
    }
  }

  /** What all peers are to be sent. */
  flush(): PeerBytes[] {
    for (const interned of this.#batch.values()) {
      for (const attributesId of interned.values()) this.#attributes.release(attributesId);
    }
    this.#batch.clear();
    return [...this.#groups.values()].flatMap(({ updates }) => updates.flush());
  }

  /** A session of this family came up: the whole table and End-of-RIB. */
  join(state: PeerState): PeerBytes[] {
    const key = this.#keyOf(state);
    if (key === undefined) return [];
    const { updates } = this.#group(key, state);
    this.#groupOf.set(state.number, key);
    return updates.join(state.number, state.peer.config.name);
  }

  /** Moves a peer to the group that its new configuration asks for. */
  move(state: PeerState): PeerBytes[] {
    const before = this.#groupOf.get(state.number);
    const key = this.#keyOf(state);
    const old = before === undefined ? undefined : this.#groups.get(before);
    if (key === undefined || old === undefined || key === before) return [];
    const { updates } = this.#group(key, state);
    this.#groupOf.set(state.number, key);
    const bytes = updates.takeOver(state.number, state.peer.config.name, old.updates);
    this.#disposeIfEmpty(before);
    return bytes;
  }

  leave(peer: number): void {
    const key = this.#groupOf.get(peer);
    if (key === undefined) return;
    this.#groupOf.delete(peer);
    this.#groups.get(key)?.updates.leave(peer);
    this.#disposeIfEmpty(key);
  }

  block(peer: number): void {
    this.#updatesOf(peer)?.block(peer);
  }

  drained(peer: number): PeerBytes[] {
    return this.#updatesOf(peer)?.drained(peer) ?? [];
  }

  refresh(peer: number): PeerBytes[] {
    return this.#updatesOf(peer)?.wholeTable(peer) ?? [];
  }

  /** What export policy says of the best route, for the group of one peer. */
  explain(
    peer: number,
    prefixId: number,
    best: BestRoute | undefined,
  ): ExportVerdict | "default-originate" | "not-best" | undefined {
    const group = this.#groups.get(this.#groupOf.get(peer) ?? "");
    if (group === undefined) return undefined;
    if (this.#isDefaultFor(group, prefixId)) return "default-originate";
    return best === undefined ? "not-best" : this.#judge(group, prefixId, best);
  }

  /** What a peer has been told of a prefix. */
  announcedTo(peer: number, prefixId: number): OutRoute | undefined {
    const route = this.#updatesOf(peer)?.announces(prefixId);
    return route?.source === peer ? undefined : route;
  }

  /** Prefixes that the group of a peer announces; those that it told itself are among them. */
  announcedCount(peer: number): number {
    return this.#updatesOf(peer)?.announced ?? 0;
  }

  /** Undefined when the peer's session does not carry this family. */
  #keyOf(state: PeerState): string | undefined {
    const { negotiated } = state;
    if (negotiated === undefined || !negotiated.families.includes(this.#rib.family))
      return undefined;
    if (ipFamily(negotiated.localAddress) !== this.#rib.family) return undefined;
    return JSON.stringify([
      this.#targetOf(state, negotiated.localAddress),
      state.peer.config.reflectorClient !== undefined,
      state.peer.policy.exportFilters,
      originatesDefault(state.peer.policy, this.#rib.family),
      negotiated.fourOctetAs,
    ]);
  }

  /** The group of `key`, filled with all that it announces when it is new. */
  #group(key: string, state: PeerState): Group {
    return getOrCreate(this.#groups, key, () => {
      const { negotiated, peer } = state;
      const options = { fourOctetAs: negotiated?.fourOctetAs ?? true };
      const updates = new UpdateGroup(options, {
        table: this.#rib.table,
        attributes: this.#attributes,
      });
      const target = this.#targetOf(state, negotiated?.localAddress ?? peer.config.address);
      const defaultOriginate = originatesDefault(peer.policy, this.#rib.family);
      const group = { updates, peer: exportPeer(state), target, defaultOriginate };
      for (const prefixId of this.#rib.table.ids()) {
        updates.update(prefixId, this.#routeFor(group, prefixId, this.#rib.loc.get(prefixId)));
      }
      updates.flush();
      return group;
    });
  }

  #targetOf({ peer }: PeerState, localAddress: IpAddr): ExportTarget {
    const { config, policy } = peer;
    return {
      external: isExternal(config),
      localAs: config.localAs,
      localAddress,
      nextHopMode: policy.nextHopMode,
      ...(policy.exportScope === undefined ? {} : { scope: policy.exportScope }),
    };
  }

  #routeFor(group: Group, prefixId: number, best: BestRoute | undefined): OutRoute | undefined {
    const rules = this.#rules;
    if (rules === undefined) return undefined;
    if (this.#isDefaultFor(group, prefixId)) return this.#defaultRoute(group, rules);
    if (best === undefined) return undefined;
    const verdict = this.#judge(group, prefixId, best);
    if (!verdict.accepted) return undefined;
    const attributesId = this.#exported(group, { prefixId, best, rules, verdict });
    return { attributesId, source: best.peer };
  }

  #isDefaultFor({ defaultOriginate }: Group, prefixId: number): boolean {
    return defaultOriginate && this.#rib.table.packed.lengths[prefixId] === 0;
  }

  #defaultRoute({ target }: Group, rules: ExportRules): OutRoute {
    const route = {
      attributes: { ...localAttributes, localPref: defaultLocalPref },
      nextHop: undefined,
      source: this.#peers.sourceOf(localPeer),
      sourceRouterId: 0,
    };
    const { attributes, nextHop } = exportAttributes(route, target, this.#self(rules));
    return { attributesId: this.#attributes.intern(attributes, nextHop), source: localPeer };
  }

  #self({ normalPriority, clusterId, draining }: ExportRules): ExportSelf {
    return { normalPriority: normalPriority[this.#rib.family], clusterId, draining };
  }

  #judge(group: Group, prefixId: number, best: BestRoute): ExportVerdict {
    if (this.#rules === undefined) return { accepted: false, step: "no-rule" };
    const { attributes, nextHop } = this.#attributes.get(best.attributesId);
    const source = this.#peers.sourceOf(best.peer);
    const normalPriority = this.#rules.normalPriority[this.#rib.family];
    const route = {
      prefixes: this.#rib.table.packed,
      index: prefixId,
      source,
      attributes,
      learned: source.learned,
      localPref: exportedLocalPref({ attributes, source }, { normalPriority }),
      interface: nextHop === undefined ? undefined : this.#forwarding.interfaceOf(nextHop),
    };
    return exportRoute(route, group.peer, this.#rules.config);
  }

  /** Id of the attributes that the group is told, with a reference for the caller. */
  #exported(group: Group, { prefixId, best, rules, verdict }: Exporting): number {
    const { advertisements: all } = rules;
    const covering = (each: Advertisement) =>
      each.prefixes.covers(this.#rib.table.packed, prefixId);
    // A route that a filter accepts has passed step 6 of facts 5.17 by.
    const { filter } = verdict;
    const advertisements = filter === undefined ? all.filter(covering) : [];
    const batch = getOrCreate(this.#batch, group, () => new Map<string, number>());
    const which = advertisements.map((each) => all.indexOf(each)).join();
    const rule = filter === undefined ? "" : filterText(filter);
    const key = `${best.attributesId} ${best.peer} ${which} ${rule}`;
    const attributesId = getOrCreate(batch, key, () => {
      const route = this.#routeToExport(best);
      const operations = filter?.operations ?? [];
      const { attributes, nextHop } = exportAttributes(
        route,
        group.target,
        this.#self(rules),
        operations,
      );
      return this.#attributes.intern(withCommunities(attributes, advertisements), nextHop);
    });
    this.#attributes.retain(attributesId);
    return attributesId;
  }

  #routeToExport({ peer, attributesId }: BestRoute) {
    const { attributes, nextHop } = this.#attributes.get(attributesId);
    return {
      attributes,
      nextHop,
      source: this.#peers.sourceOf(peer),
      sourceRouterId: this.#peers.numbered(peer)?.routerId ?? 0,
    };
  }

  #updatesOf(peer: number): UpdateGroup | undefined {
    return this.#groups.get(this.#groupOf.get(peer) ?? "")?.updates;
  }

  #disposeIfEmpty(key: string | undefined): void {
    const group = this.#groups.get(key ?? "");
    if (key === undefined || group === undefined || group.updates.size > 0) return;
    group.updates.dispose();
    this.#groups.delete(key);
  }
}

interface Exporting {
  readonly prefixId: number;
  readonly best: BestRoute;
  readonly rules: ExportRules;
  readonly verdict: ExportVerdict;
}

function exportPeer({ peer: { config, policy } }: PeerState): ExportPeer {
  const external = isExternal(config);
  const { exportFilters = [], exportScope } = policy;
  return {
    external,
    client: config.reflectorClient !== undefined,
    ...(exportFilters.length === 0
      ? {}
      : { filters: new RouteFilters(exportFilters, { external }) }),
    ...(exportScope === undefined ? {} : { scope: exportScope }),
  };
}
