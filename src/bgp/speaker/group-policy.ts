import { type IpAddr, ipFamily } from "../../lib/ip-addr.ts";
import type { SpeakerConfig } from "../config/speaker-config.ts";
import {
  type Advertisement,
  type ExportSelf,
  type ExportTarget,
  exportAttributes,
  exportedLocalPref,
  nextHopFor,
  withCommunities,
} from "../policy/export-attributes.ts";
import {
  type ExportConfig,
  type ExportPeer,
  type ExportVerdict,
  exportRoute,
} from "../policy/export-policy.ts";
import { filterText } from "../policy/filter.ts";
import { defaultLocalPref } from "../policy/import-policy.ts";
import { passesToInternalPeer } from "../policy/route-reflection.ts";
import { localPeer } from "../rib/adj-rib-in.ts";
import type { AttributeStore } from "../rib/attribute-store.ts";
import type { FamilyRib } from "../rib/family-rib.ts";
import type { BestRoute } from "../rib/loc-rib.ts";
import { RouteEditor } from "../rib/route-editor.ts";
import type { RouteView } from "../rib/route-view.ts";
import { nextHopAttribute } from "../wire/route-bytes.ts";
import { ExportMemo } from "./export-memo.ts";
import type { Forwarding } from "./forwarding.ts";
import { localAttributes } from "./local-routes.ts";
import type { SpeakerPeers } from "./speaker-peers.ts";

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
  readonly forwarding: Pick<Forwarding, "interfaceOf" | "judge">;
}

/** Whom a group's policy is for. */
export interface GroupPeers {
  readonly peer: ExportPeer;
  readonly target: ExportTarget;
  /** A default route with us as next hop, whatever the RIB has. */
  readonly defaultOriginate: boolean;
  /** IPv4 routes may have an IPv6 next hop (RFC 8950). */
  readonly extendedNextHop: boolean;
}

const dropped = { med: 4, localPref: 5, originatorId: 9, clusterList: 10 } as const;
const nextHopCodes = { nextHop: 3, mpReach: 14 } as const;

/**
 * What one group of peers is told of a route. Where only BGP itself decides (no filters, everything
 * the protocol allows) each set of attributes is judged once a batch and its octets are edited; else
 * the policy works on objects, prefix by prefix. Both ways give the same: a test compares them.
 */
export class GroupPolicy {
  readonly #rib: FamilyRib;
  readonly #from: ExportSource;
  readonly #peer: ExportPeer;
  readonly #target: ExportTarget;
  readonly #defaultOriginate: boolean;
  readonly #extendedNextHop: boolean;
  readonly #memo: ExportMemo;
  readonly #editor = new RouteEditor();

  constructor(rib: FamilyRib, from: ExportSource, to: GroupPeers) {
    this.#rib = rib;
    this.#from = from;
    this.#peer = to.peer;
    this.#target = to.target;
    this.#defaultOriginate = to.defaultOriginate;
    this.#extendedNextHop = to.extendedNextHop;
    this.#memo = new ExportMemo(from.attributes);
  }

  /** Id of the attributes that the group is told, with a reference for the caller; 0: none. */
  exported(prefixId: number, best: BestRoute, rules: ExportRules): number {
    return this.#isPlain(rules)
      ? this.#plain(prefixId, best, rules)
      : this.#byPolicy(prefixId, best, rules);
  }

  /** False when routes with the same attributes and source are exported in the same way. */
  looksAtPrefixes(rules: ExportRules): boolean {
    return this.#defaultOriginate || !this.#isPlain(rules);
  }

  /** The prefix is the default route, and the group is told of ours. */
  isDefaultFor(prefixId: number): boolean {
    if (!this.#defaultOriginate || this.#rib.table.packed.lengths[prefixId] !== 0) return false;
    return this.#rib.adjIn.hasPaths(prefixId);
  }

  /** As `exported`, of the default route that only peers are told of. */
  defaultRoute(rules: ExportRules): number {
    const route = {
      attributes: { ...localAttributes, localPref: defaultLocalPref },
      nextHop: undefined,
      source: this.#from.peers.sourceOf(localPeer),
      sourceRouterId: 0,
    };
    const { attributes, nextHop } = exportAttributes(route, this.#target, this.#self(rules));
    return this.#isCarried(nextHop) ? this.#from.attributes.intern(attributes, nextHop) : 0;
  }

  /** What export policy says of a route. */
  judge(prefixId: number, best: BestRoute, rules: ExportRules): ExportVerdict {
    const { attributes, nextHop } = this.#from.attributes.get(best.attributesId);
    const source = this.#from.peers.sourceOf(best.peer);
    const normalPriority = rules.normalPriority[this.#rib.family];
    const route = {
      prefixes: this.#rib.table.packed,
      index: prefixId,
      source,
      attributes,
      learned: source.learned,
      localPref: exportedLocalPref({ attributes, source }, { normalPriority }),
      interface: nextHop === undefined ? undefined : this.#from.forwarding.interfaceOf(nextHop),
    };
    return exportRoute(route, this.#peer, rules.config);
  }

  /** Ids of attributes may mean something else from now on. */
  endBatch(): void {
    this.#memo.clear();
  }

  #isPlain({ advertisements, draining }: ExportRules): boolean {
    const { scope, filters } = this.#peer;
    return scope === "all" && filters === undefined && advertisements.length === 0 && !draining;
  }

  #plain(prefixId: number, best: BestRoute, rules: ExportRules): number {
    const known = this.#memo.find(best.peer, best.attributesId);
    if (known !== undefined) return known;
    const route = this.#from.attributes.get(best.attributesId);
    const source = this.#from.peers.sourceOf(best.peer);
    const passes = route.hasReservedCommunity
      ? this.judge(prefixId, best, rules).accepted
      : this.#peer.external || passesToInternalPeer(source, this.#peer.client);
    const exportedId = passes ? this.#edited(route, best, rules) : 0;
    return this.#memo.add(best.peer, best.attributesId, exportedId);
  }

  #edited(route: RouteView, best: BestRoute, rules: ExportRules): number {
    if (!this.#isCarried(this.#nextHopOf(route, best.peer))) return 0;
    const isDone = this.#target.external
      ? this.#editForExternal(route, best)
      : this.#editForInternal(route, best, rules);
    if (!isDone) return this.#byObjects(best, rules, [], []);
    const length = this.#editor.apply(route);
    return this.#from.attributes.internBytes(this.#editor.bytes, length);
  }

  #editForExternal(route: RouteView, { peer }: BestRoute): boolean {
    if (route.hasNonTransitive) return false;
    const editor = this.#editor.begin();
    const { learned } = this.#from.peers.sourceOf(peer);
    if (!editor.prependAs(route, this.#target.localAs)) return false;
    this.#editNextHop(route, peer);
    if (learned !== "local") editor.drop(dropped.med);
    editor.drop(dropped.localPref).drop(dropped.originatorId).drop(dropped.clusterList);
    return true;
  }

  #editForInternal(route: RouteView, { peer }: BestRoute, rules: ExportRules): boolean {
    const editor = this.#editor.begin();
    const source = this.#from.peers.sourceOf(peer);
    this.#editNextHop(route, peer);
    if (route.localPref === undefined) {
      const normalPriority = rules.normalPriority[this.#rib.family];
      const unset = { attributes: noLocalPref, source };
      editor.localPref(exportedLocalPref(unset, { normalPriority }));
    }
    if (source.learned !== "ibgp") return true;
    if (route.originatorId === undefined) editor.originatorId(this.#routerIdOf(peer));
    editor.prependCluster(route, rules.clusterId);
    return true;
  }

  #editNextHop(route: RouteView, peer: number): void {
    const told = this.#nextHopOf(route, peer);
    if (told === route.nextHop) return;
    this.#editor.drop(nextHopCodes.nextHop).drop(nextHopCodes.mpReach);
    this.#editor.attribute(nextHopAttribute(told));
  }

  #nextHopOf({ nextHop }: RouteView, peer: number): IpAddr {
    return nextHopFor({ nextHop, source: this.#from.peers.sourceOf(peer) }, this.#target);
  }

  /** A route of this family can have such a next hop. */
  #isCarried(nextHop: IpAddr): boolean {
    const { family } = this.#rib;
    return ipFamily(nextHop) === family || (family === 4 && this.#extendedNextHop);
  }

  #byPolicy(prefixId: number, best: BestRoute, rules: ExportRules): number {
    const verdict = this.judge(prefixId, best, rules);
    if (!verdict.accepted) return 0;
    // A route that a filter accepts has passed step 6 of facts 5.17 by.
    const { filter } = verdict;
    const { packed } = this.#rib.table;
    const covering =
      filter === undefined
        ? rules.advertisements.filter(({ prefixes }) => prefixes.covers(packed, prefixId))
        : [];
    const which = covering.map((each) => rules.advertisements.indexOf(each)).join();
    const rule = filter === undefined ? "" : filterText(filter);
    return this.#memo.of(best.peer, best.attributesId, `${which} ${rule}`, () =>
      this.#byObjects(best, rules, filter?.operations ?? [], covering),
    );
  }

  #byObjects(
    { peer, attributesId }: BestRoute,
    rules: ExportRules,
    operations: Parameters<typeof exportAttributes>[3],
    covering: readonly Advertisement[],
  ): number {
    const { attributes, nextHop } = this.#from.attributes.get(attributesId);
    const source = this.#from.peers.sourceOf(peer);
    const sourceRouterId = this.#routerIdOf(peer);
    const route = { attributes, nextHop, source, sourceRouterId };
    const told = exportAttributes(route, this.#target, this.#self(rules), operations);
    if (!this.#isCarried(told.nextHop)) return 0;
    return this.#from.attributes.intern(withCommunities(told.attributes, covering), told.nextHop);
  }

  #self({ normalPriority, clusterId, draining }: ExportRules): ExportSelf {
    return { normalPriority: normalPriority[this.#rib.family], clusterId, draining };
  }

  #routerIdOf(peer: number): number {
    return this.#from.peers.numbered(peer)?.routerId ?? 0;
  }
}

const noLocalPref = { origin: 0, asPath: [] } as const;
