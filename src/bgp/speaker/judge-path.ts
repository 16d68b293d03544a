import type { IpFamily } from "../../lib/ip-addr.ts";
import type { SpeakerConfig } from "../config/speaker-config.ts";
import { defaultLocalPref, importRoute } from "../policy/import-policy.ts";
import { wellKnown } from "../policy/well-known.ts";
import { localPeer, type StoredPath } from "../rib/adj-rib-in.ts";
import type { AttributeStore } from "../rib/attribute-store.ts";
import type { Path } from "../rib/decision.ts";
import type { Candidate } from "../rib/family-rib.ts";
import type { ResolvedNextHop } from "../rib/next-hop.ts";
import type { RouteView } from "../rib/route-view.ts";
import type { PackedPrefixes } from "../wire/message.ts";
import type { ChangedAttributes } from "./changed-attributes.ts";
import type { NextHopView } from "./next-hop-view.ts";
import { isExternal, type PeerState } from "./speaker-peers.ts";

/** What a path is judged by, besides itself and its peer. */
export interface JudgeContext {
  readonly config: SpeakerConfig;
  readonly attributes: AttributeStore;
  readonly changed: ChangedAttributes;
  readonly nextHops: NextHopView;
  /** Families whose default route is for some peers and not for ourselves. */
  readonly defaultForPeersOnly: readonly IpFamily[];
}

/** Prefix `index` of `prefixes`. */
interface PrefixAt {
  readonly prefixes: PackedPrefixes;
  readonly index: number;
}

/** Whether a stored path may be chosen: import policy, then next-hop resolution. */
export function judgePath(
  stored: StoredPath,
  state: PeerState | undefined,
  at: PrefixAt,
  context: JudgeContext,
): Candidate {
  if (stored.peer === localPeer) return judgeLocal(stored, at, context);
  if (state === undefined) return { rejected: "peer-gone" };
  const { attributes, changed, nextHops, config } = context;
  const view = attributes.get(stored.attributesId);
  if (isPlainlyUsable(view, state, context)) {
    const resolved = view.nextHop === undefined ? undefined : nextHops.resolve(view.nextHop);
    if (resolved === undefined) return { rejected: "next-hop-unreachable" };
    return { path: pathOf(stored, view, { state, resolved }) };
  }
  const { attributes: received, nextHop } = view;
  const route = { ...at, attributes: received, nextHop };
  const verdict = importRoute(route, importFacts(state, config), nextHops);
  const perPrefix = state.importFilters !== undefined;
  if (!verdict.accepted) return { rejected: verdict.reason, perPrefix };
  const resolved = nextHop === undefined ? undefined : nextHops.resolve(nextHop);
  if (resolved === undefined) return { rejected: "next-hop-unreachable" };
  const used = attributes.get(changed.idOf(stored.attributesId, verdict.operations));
  return { path: pathOf(stored, used, { state, resolved }), perPrefix };
}

function judgeLocal(
  { attributesId }: StoredPath,
  { prefixes, index }: PrefixAt,
  { defaultForPeersOnly }: JudgeContext,
): Candidate {
  if (prefixes.lengths[index] === 0 && defaultForPeersOnly.includes(prefixes.family)) {
    return { rejected: "only for peers with defaultOriginate", perPrefix: true };
  }
  return { path: { ...localPath, attributesId }, perPrefix: true };
}

/**
 * True when import policy accepts a path as it is, whatever its prefix: no filters, no loop, none of
 * the communities that mean something. For all others policy is asked (measured: 0.2 us against 4 us).
 */
function isPlainlyUsable(route: RouteView, state: PeerState, context: JudgeContext): boolean {
  if (state.importFilters !== undefined || route.hasReservedCommunity) return false;
  const { config, policy } = state.peer;
  if (route.timesInPath(config.localAs) > policy.allowedLocalAs) return false;
  const { routerId, clusterId } = context.config;
  if (route.originatorId === routerId) return false;
  if (clusterId !== undefined && route.hasCluster(clusterId)) return false;
  return route.nextHop !== undefined && !context.nextHops.isOwn(route.nextHop);
}

function pathOf(
  { peer, pathId }: StoredPath,
  route: RouteView,
  { state, resolved }: { readonly state: PeerState; readonly resolved: ResolvedNextHop },
): Path {
  return {
    peer,
    attributesId: route.id,
    local: false,
    longLivedStale: route.hasCommunity(wellKnown.llgrStale),
    localPref:
      state.retiring !== undefined ? leastLocalPref : (route.localPref ?? defaultLocalPref),
    asPathLength: route.asPathLength,
    origin: route.origin,
    med: route.med ?? 0,
    neighborAs: route.neighborAs,
    learnedBy: isExternal(state.peer.config) ? "ebgp" : "ibgp",
    igpCost: resolved.igpCost,
    routerId: route.originatorId ?? state.routerId,
    clusterListLength: route.clusterListLength,
    peerAddress: state.addressBits,
    pathId,
  };
}

/** Below all that a peer can tell. */
const leastLocalPref = -1;

function importFacts({ peer, importFilters }: PeerState, config: SpeakerConfig) {
  return {
    external: isExternal(peer.config),
    localAs: peer.config.localAs,
    allowedLocalAs: peer.policy.allowedLocalAs,
    routerId: config.routerId,
    ...(config.clusterId === undefined ? {} : { clusterId: config.clusterId }),
    ...(importFilters === undefined ? {} : { filters: importFilters }),
  };
}

const localPath: Omit<Path, "attributesId"> = {
  peer: localPeer,
  local: true,
  localPref: 0,
  asPathLength: 0,
  origin: 0,
  med: 0,
  neighborAs: 0,
  learnedBy: "ibgp",
  igpCost: 0,
  routerId: 0,
  clusterListLength: 0,
  peerAddress: 0n,
};
