import type { IpFamily } from "../../lib/ip-addr.ts";
import type { SpeakerConfig } from "../config/speaker-config.ts";
import { defaultLocalPref, importRoute } from "../policy/import-policy.ts";
import { localPeer, type StoredPath } from "../rib/adj-rib-in.ts";
import type { AttributeStore } from "../rib/attribute-store.ts";
import type { Path } from "../rib/decision.ts";
import type { Candidate } from "../rib/family-rib.ts";
import type { ResolvedNextHop } from "../rib/next-hop.ts";
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
  const { attributes: received, nextHop } = attributes.get(stored.attributesId);
  const route = { ...at, attributes: received, nextHop };
  const verdict = importRoute(route, importFacts(state, config), nextHops);
  const perPrefix = state.importFilters !== undefined;
  if (!verdict.accepted) return { rejected: verdict.reason, perPrefix };
  const resolved = nextHop === undefined ? undefined : nextHops.resolve(nextHop);
  if (resolved === undefined) return { rejected: "next-hop-unreachable" };
  const attributesId = changed.idOf(stored.attributesId, verdict.operations);
  return { path: pathOf(stored.peer, attributesId, { state, attributes, resolved }), perPrefix };
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

function pathOf(
  peer: number,
  attributesId: number,
  from: {
    readonly state: PeerState;
    readonly attributes: AttributeStore;
    readonly resolved: ResolvedNextHop;
  },
): Path {
  const { state, resolved } = from;
  const { attributes, asPathLength, neighborAs } = from.attributes.get(attributesId);
  return {
    peer,
    attributesId,
    local: false,
    localPref: attributes.localPref ?? defaultLocalPref,
    asPathLength,
    origin: attributes.origin,
    med: attributes.med ?? 0,
    neighborAs,
    learnedBy: isExternal(state.peer.config) ? "ebgp" : "ibgp",
    igpCost: resolved.igpCost,
    routerId: attributes.originatorId ?? state.routerId,
    clusterListLength: attributes.clusterList?.length ?? 0,
    peerAddress: state.addressBits,
  };
}

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
