import { invariant } from "../../lib/brand.ts";
import { getOrCreate } from "../../lib/collections.ts";
import { type IpAddr, type IpFamily, ipFamily } from "../../lib/ip-addr.ts";
import type { TimeSlice } from "../../lib/time-slice.ts";
import { advertisementsOf } from "../config/communities.ts";
import type { SpeakerConfig } from "../config/speaker-config.ts";
import type { Negotiated } from "../peer/peer.ts";
import type { ExportTarget } from "../policy/export-attributes.ts";
import type { ExportPeer, ExportVerdict } from "../policy/export-policy.ts";
import { RouteFilters } from "../policy/filter.ts";
import type { OutRoute } from "../rib/adj-rib-out.ts";
import type { FamilyRib, Run } from "../rib/family-rib.ts";
import type { BestRoute } from "../rib/loc-rib.ts";
import { PrefixList } from "../rib/packed-prefix.ts";
import { speaksLongLived } from "../rib/stale-paths.ts";
import type { PeerBytes, UpdateGroup } from "../rib/update-group.ts";
import type { EncodeOptions } from "../wire/context.ts";
import { encodeEndOfRib } from "../wire/encode-updates.ts";
import { maxExtendedLength, maxMessageLength } from "../wire/header.ts";
import { encodeRouteRefresh } from "../wire/route-refresh.ts";
import { ExportGroup } from "./export-group.ts";
import type { ExportRules, ExportSource } from "./group-policy.ts";
import { originatesDefault } from "./local-routes.ts";
import { isExternal, type PeerState } from "./speaker-peers.ts";

/** Subtypes of ROUTE-REFRESH (RFC 7313 section 3.2). */
const refreshSubtype = { begin: 1, end: 2 } as const;

/** Flushes in a row that only tell, where one was not enough for all peers. */
const tellingFlushes = 4;

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
  readonly #groups = new Map<string, ExportGroup>();
  readonly #groupOf = new Map<number, string>();
  #rules: ExportRules | undefined;
  /** Flushes in a row that had no time for some peers. */
  #cutFlushes = 0;

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

  /**
   * Some peers have not had their turn yet: what is decided now would be one more block for everybody,
   * where one greater block later is less work. Not for long: peers that read a whole table take a while.
   */
  get isBehind(): boolean {
    return this.#cutFlushes > 0 && this.#cutFlushes <= tellingFlushes;
  }

  /** Takes effect with the next `export` of each prefix. */
  setRules(rules: ExportRules): void {
    this.#rules = rules;
  }

  /** Tells all groups of the route that is now the best to each of these prefixes. */
  export(prefixIds: Uint32Array, at: Run, best: BestRoute | undefined): void {
    for (const group of this.#groups.values()) group.exportAll(prefixIds, at, best, this.#rules);
  }

  /** What all peers are sent next. Groups that are new take `limit` more prefixes. */
  flush(limit: number, slice: Pick<TimeSlice, "isOver">): PeerBytes[] {
    const sends: PeerBytes[] = [];
    for (const group of this.#groups.values()) {
      sends.push(...group.flush(limit, this.#rules, slice));
    }
    const isCut = [...this.#groups.values()].some(({ updates }) => updates.isCut);
    this.#cutFlushes = isCut ? (this.#cutFlushes % (tellingFlushes + 1)) + 1 : 0;
    return sends;
  }

  /** A session of this family came up: it is to be told the whole table. */
  join(state: PeerState): void {
    const key = this.#keyOf(state);
    if (key === undefined) return;
    const { updates } = this.#group(key, state);
    this.#groupOf.set(state.number, key);
    updates.join(state.number, state.peer.config.name);
  }

  /** The marker behind all that there is to tell (RFC 4724 section 2), at once where there is nothing. */
  endRib({ number, peer }: PeerState): PeerBytes[] {
    const bytes = encodeEndOfRib(this.#rib.family);
    const updates = this.#updatesOf(number);
    if (updates === undefined) return [{ name: peer.config.name, bytes }];
    updates.tellAfter(number, bytes);
    return [];
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

  drained(peer: number): void {
    this.#updatesOf(peer)?.drained(peer);
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
    return this.#groupWith(peer)?.explain(prefixId, best, this.#rules);
  }

  /** What a peer has been told of a prefix, or is about to be. */
  announcedTo(peer: number, prefixId: number): OutRoute | undefined {
    return this.#groupWith(peer)?.announcedTo(peer, prefixId);
  }

  /** Routes that the group of a peer announces; those that it told itself are among them. */
  announcedCount(peer: number): number {
    return this.#updatesOf(peer)?.announced ?? 0;
  }

  /** Undefined when the peer's session does not carry this family. */
  #keyOf(state: PeerState): string | undefined {
    const { negotiated } = state;
    const { family } = this.#rib;
    if (negotiated === undefined || !negotiated.families.includes(family)) return undefined;
    return JSON.stringify([
      this.#targetOf(state, ownNextHop(negotiated, family)),
      state.peer.config.reflectorClient !== undefined,
      state.peer.policy.exportFilters,
      originatesDefault(state.peer.policy, family),
      speaksLongLived(negotiated),
      this.#encodeOptions(negotiated),
      state.peer.policy.addPathLimit,
    ]);
  }

  #group(key: string, state: PeerState): ExportGroup {
    return getOrCreate(this.#groups, key, () => {
      const { negotiated, peer } = state;
      invariant(negotiated !== undefined, "peers of a group have sessions");
      const encode = this.#encodeOptions(negotiated);
      const { addPathLimit } = peer.policy;
      const group = new ExportGroup(this.#rib, this.#from, {
        peers: {
          peer: this.#exportPeer(state),
          target: this.#targetOf(state, ownNextHop(negotiated, this.#rib.family)),
          defaultOriginate: originatesDefault(peer.policy, this.#rib.family),
          extendedNextHop: encode.extendedNextHop === true,
        },
        encode,
        ...(addPathLimit === undefined ? {} : { addPathLimit }),
      });
      group.exportDefault(this.#rules);
      return group;
    });
  }

  #encodeOptions({ fourOctetAs, extendedMessages, extendedNextHop, addPath }: Negotiated) {
    return {
      fourOctetAs,
      addPath: addPath?.send.includes(this.#rib.family) === true,
      extendedNextHop: extendedNextHop === true,
      maxMessageLength: extendedMessages === true ? maxExtendedLength : maxMessageLength,
    } satisfies EncodeOptions;
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
      longLived: speaksLongLived(state.negotiated),
      ...(exportFilters.length === 0
        ? {}
        : { filters: new RouteFilters(exportFilters, { external }) }),
      ...(exportScope === undefined ? {} : { scope: exportScope }),
    };
  }

  #groupWith(peer: number): ExportGroup | undefined {
    return this.#groups.get(this.#groupOf.get(peer) ?? "");
  }

  #updatesOf(peer: number): UpdateGroup | undefined {
    return this.#groupWith(peer)?.updates;
  }

  #disposeIfEmpty(key: string | undefined): void {
    const group = this.#groups.get(key ?? "");
    if (key === undefined || group === undefined || group.updates.size > 0) return;
    group.updates.dispose();
    this.#groups.delete(key);
  }
}

/** Next hop "self" (RFC 4760 section 3, RFC 8950 section 3). One that a family cannot have is not told. */
function ownNextHop(
  { localAddress, otherLocalAddress = localAddress, extendedNextHop }: Negotiated,
  family: IpFamily,
): IpAddr {
  const isCarried = ipFamily(localAddress) === family || (family === 4 && extendedNextHop === true);
  return isCarried ? localAddress : otherLocalAddress;
}
