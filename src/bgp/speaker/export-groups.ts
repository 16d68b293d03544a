import { getOrCreate } from "../../lib/collections.ts";
import { type IpAddr, ipFamily } from "../../lib/ip-addr.ts";
import { advertisementsOf } from "../config/communities.ts";
import type { SpeakerConfig } from "../config/speaker-config.ts";
import type { ExportTarget } from "../policy/export-attributes.ts";
import type { ExportPeer, ExportVerdict } from "../policy/export-policy.ts";
import { RouteFilters } from "../policy/filter.ts";
import { localPeer } from "../rib/adj-rib-in.ts";
import type { OutRoute } from "../rib/adj-rib-out.ts";
import type { FamilyRib } from "../rib/family-rib.ts";
import type { BestRoute } from "../rib/loc-rib.ts";
import { PrefixList } from "../rib/packed-prefix.ts";
import { type PeerBytes, UpdateGroup } from "../rib/update-group.ts";
import { encodeEndOfRib } from "../wire/encode-updates.ts";
import { encodeRouteRefresh } from "../wire/route-refresh.ts";
import { type ExportRules, type ExportSource, GroupPolicy } from "./group-policy.ts";
import { defaultRoute, originatesDefault } from "./local-routes.ts";
import { isExternal, type PeerState } from "./speaker-peers.ts";

interface Group {
  readonly updates: UpdateGroup;
  readonly policy: GroupPolicy;
  /** Prefix ids below are in it. Once all are, every change is. */
  filledTo: number;
}

/** Subtypes of ROUTE-REFRESH (RFC 7313 section 3.2). */
const refreshSubtype = { begin: 1, end: 2 } as const;

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
  readonly #from: ExportSource;
  readonly #groups = new Map<string, Group>();
  readonly #groupOf = new Map<number, string>();
  #rules: ExportRules | undefined;

  constructor(rib: FamilyRib, from: ExportSource) {
    this.#rib = rib;
    this.#from = from;
  }

  /** Some peer is not told yet what it could be. */
  get hasWork(): boolean {
    for (const { updates } of this.#groups.values()) {
      if (!updates.isFilled || updates.hasWork) return true;
    }
    return false;
  }

  /** Takes effect with the next `export` of each prefix. */
  setRules(rules: ExportRules): void {
    this.#rules = rules;
  }

  /** Tells all groups of the route that is now the best to a prefix. */
  export(prefixId: number, best: BestRoute | undefined): void {
    for (const group of this.#groups.values()) this.#exportTo(group, prefixId, best);
  }

  /** What all peers are sent next. Groups that are new take `limit` more prefixes. */
  flush(limit: number): PeerBytes[] {
    const sends: PeerBytes[] = [];
    for (const group of this.#groups.values()) {
      if (!group.updates.isFilled) this.#fill(group, limit);
      group.policy.endBatch();
      sends.push(...group.updates.flush());
    }
    return sends;
  }

  /** A session of this family came up: it is to be told the whole table, then End-of-RIB. */
  join(state: PeerState): void {
    const key = this.#keyOf(state);
    if (key === undefined) return;
    const { updates } = this.#group(key, state);
    this.#groupOf.set(state.number, key);
    updates.join(state.number, state.peer.config.name, encodeEndOfRib(this.#rib.family));
  }

  /** Moves a peer to the group that its new configuration asks for. */
  move(state: PeerState): void {
    const before = this.#groupOf.get(state.number);
    const key = this.#keyOf(state);
    const old = before === undefined ? undefined : this.#groups.get(before);
    if (key === undefined || old === undefined || key === before) return;
    const { updates } = this.#group(key, state);
    this.#groupOf.set(state.number, key);
    updates.takeOver(state.number, state.peer.config.name, old.updates);
    this.#disposeIfEmpty(before);
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

  /** The peer asked for all routes again: between BoRR and EoRR when it knows them (RFC 7313). */
  refresh({ number, peer, negotiated }: PeerState): PeerBytes[] {
    const updates = this.#updatesOf(number);
    if (updates === undefined) return [];
    if (negotiated?.enhancedRouteRefresh !== true) {
      updates.tellAgain(number);
      return [];
    }
    const marker = (subtype: number) => encodeRouteRefresh(this.#rib.family, subtype);
    updates.tellAgain(number, marker(refreshSubtype.end));
    return [{ name: peer.config.name, bytes: marker(refreshSubtype.begin) }];
  }

  /** What export policy says of the best route, for the group of one peer. */
  explain(
    peer: number,
    prefixId: number,
    best: BestRoute | undefined,
  ): ExportVerdict | "default-originate" | "not-best" | undefined {
    const group = this.#groups.get(this.#groupOf.get(peer) ?? "");
    if (group === undefined) return undefined;
    if (group.policy.isDefaultFor(prefixId)) return "default-originate";
    if (best === undefined) return "not-best";
    if (this.#rules === undefined) return { accepted: false, step: "no-rule" };
    return group.policy.judge(prefixId, best, this.#rules);
  }

  /** What a peer has been told of a prefix, or is about to be. */
  announcedTo(peer: number, prefixId: number): OutRoute | undefined {
    const route = this.#updatesOf(peer)?.announces(prefixId);
    return route?.source === peer ? undefined : route;
  }

  /** Prefixes that the group of a peer announces; those that it told itself are among them. */
  announcedCount(peer: number): number {
    return this.#updatesOf(peer)?.announced ?? 0;
  }

  #exportTo({ updates, policy }: Group, prefixId: number, best: BestRoute | undefined): void {
    const rules = this.#rules;
    if (rules === undefined) updates.update(prefixId, 0, 0);
    else if (policy.isDefaultFor(prefixId)) {
      updates.update(prefixId, policy.defaultRoute(rules), localPeer);
    } else if (best === undefined) updates.update(prefixId, 0, 0);
    else updates.update(prefixId, policy.exported(prefixId, best, rules), best.peer);
  }

  /** Puts the next prefixes of the Loc-RIB into a group that is new. */
  #fill(group: Group, limit: number): void {
    const { loc, table } = this.#rib;
    const end = Math.min(group.filledTo + limit, table.idEnd);
    for (let prefixId = group.filledTo; prefixId < end; prefixId++) {
      const best = loc.get(prefixId);
      if (best !== undefined) this.#exportTo(group, prefixId, best);
    }
    group.filledTo = end;
    group.updates.isFilled = end === table.idEnd;
  }

  /** Undefined when the peer's session does not carry this family. */
  #keyOf(state: PeerState): string | undefined {
    const { negotiated } = state;
    const { family } = this.#rib;
    if (negotiated === undefined || !negotiated.families.includes(family)) return undefined;
    if (ipFamily(negotiated.localAddress) !== family) return undefined;
    return JSON.stringify([
      this.#targetOf(state, negotiated.localAddress),
      state.peer.config.reflectorClient !== undefined,
      state.peer.policy.exportFilters,
      originatesDefault(state.peer.policy, family),
      negotiated.fourOctetAs,
      negotiated.extendedMessages === true,
      this.#isLongLived(state),
    ]);
  }

  #group(key: string, state: PeerState): Group {
    return getOrCreate(this.#groups, key, () => {
      const { negotiated, peer } = state;
      const options = {
        fourOctetAs: negotiated?.fourOctetAs ?? true,
        ...(negotiated?.extendedMessages === true ? { maxMessageLength: 65_535 } : {}),
      };
      const { attributes } = this.#from;
      const updates = new UpdateGroup(options, { table: this.#rib.table, attributes });
      updates.isFilled = this.#rib.loc.size === 0;
      const target = this.#targetOf(state, negotiated?.localAddress ?? peer.config.address);
      const defaultOriginate = originatesDefault(peer.policy, this.#rib.family);
      const to = { peer: this.#exportPeer(state), target, defaultOriginate };
      const policy = new GroupPolicy(this.#rib, this.#from, to);
      const group = { updates, policy, filledTo: 0 };
      if (defaultOriginate) this.#exportDefault(group);
      return group;
    });
  }

  /** No best route stands for it: `#fill` would pass it by. */
  #exportDefault(group: Group): void {
    const prefixId = this.#rib.table.findPrefix(defaultRoute[this.#rib.family]);
    if (prefixId >= 0) this.#exportTo(group, prefixId, this.#rib.loc.get(prefixId));
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

  #exportPeer(state: PeerState): ExportPeer {
    const { config, policy } = state.peer;
    const external = isExternal(config);
    const { exportFilters = [], exportScope } = policy;
    return {
      external,
      client: config.reflectorClient !== undefined,
      longLived: this.#isLongLived(state),
      ...(exportFilters.length === 0
        ? {}
        : { filters: new RouteFilters(exportFilters, { external }) }),
      ...(exportScope === undefined ? {} : { scope: exportScope }),
    };
  }

  /** The peer may be told routes that outlive their session (RFC 9494 section 4.3). */
  #isLongLived({ negotiated }: PeerState): boolean {
    const families = negotiated?.longLivedGracefulRestart ?? [];
    return families.some(({ family }) => family === this.#rib.family);
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
