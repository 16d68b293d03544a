import { type IpAddr, ipBits } from "../../lib/ip-addr.ts";
import type { SpeakerPeer } from "../config/session.ts";
import type { SpeakerConfig } from "../config/speaker-config.ts";
import type { Negotiated, PeerConfig } from "../peer/peer.ts";
import { importRoute } from "../policy/import-policy.ts";
import type { RouteSource } from "../policy/route-reflection.ts";
import { localPeer, type StoredPath } from "../rib/adj-rib-in.ts";
import type { InternedAttributes } from "../rib/attribute-store.ts";
import type { Path } from "../rib/decision.ts";
import type { Candidate } from "../rib/family-rib.ts";
import type { NextHops } from "../rib/next-hop.ts";

/** A configured peer with what is known of its session. */
export interface PeerState {
  /** From 1; the RIBs know the peer by it. */
  readonly number: number;
  readonly peer: SpeakerPeer;
  readonly addressBits: bigint;
  /** Set while the session is Established. */
  readonly negotiated?: Negotiated;
  /** Router ID of the last session: its routes may outlive it. */
  readonly routerId: number;
}

/** The peers of a speaker, by name and by number. Numbers are given again. */
export class SpeakerPeers {
  readonly #byName = new Map<string, PeerState>();
  readonly #byNumber: (PeerState | undefined)[] = [undefined];

  get(name: string): PeerState | undefined {
    return this.#byName.get(name);
  }

  all(): IterableIterator<PeerState> {
    return this.#byName.values();
  }

  add(peer: SpeakerPeer): void {
    let number = 1;
    while (this.#byNumber[number] !== undefined) number++;
    const addressBits = ipBits(peer.config.address);
    this.set({ number, peer, addressBits, routerId: 0 });
  }

  set(state: PeerState): void {
    this.#byName.set(state.peer.config.name, state);
    this.#byNumber[state.number] = state;
  }

  remove({ number, peer }: PeerState): void {
    this.#byName.delete(peer.config.name);
    this.#byNumber[number] = undefined;
  }

  numbered(number: number): PeerState | undefined {
    return this.#byNumber[number];
  }

  /** How the routes of a peer, or our own, were learned. */
  sourceOf(number: number): RouteSource {
    if (number === localPeer) return { learned: "local", fromClient: false };
    const config = this.#byNumber[number]?.peer.config;
    return {
      learned: config !== undefined && isExternal(config) ? "ebgp" : "ibgp",
      fromClient: config?.reflectorClient !== undefined,
    };
  }
}

export function isExternal(config: PeerConfig): boolean {
  return config.remoteAs !== config.localAs;
}

/** Whether a stored path may be chosen: import policy, then next-hop resolution. */
export function judgePath(
  stored: StoredPath,
  route: InternedAttributes,
  from: { readonly state: PeerState | undefined; readonly config: SpeakerConfig },
  nextHops: NextHops,
): Candidate {
  const { attributes, attributesId } = { ...route, attributesId: route.id };
  if (stored.peer === localPeer) return { path: { ...localPath, attributesId } };
  const { state, config } = from;
  if (state === undefined) return { rejected: "peer-gone" };
  const verdict = importRoute(route, importFacts(state, config), (address: IpAddr) =>
    nextHops.isOwn(address),
  );
  if (!verdict.accepted) return { rejected: verdict.reason };
  const resolved = route.nextHop === undefined ? undefined : nextHops.resolve(route.nextHop);
  if (resolved === undefined) return { rejected: "next-hop-unreachable" };
  return {
    path: {
      peer: stored.peer,
      attributesId,
      local: false,
      localPref: verdict.localPref,
      asPathLength: route.asPathLength,
      origin: attributes.origin,
      med: attributes.med ?? 0,
      neighborAs: route.neighborAs,
      learnedBy: isExternal(state.peer.config) ? "ebgp" : "ibgp",
      igpCost: resolved.igpCost,
      routerId: attributes.originatorId ?? state.routerId,
      clusterListLength: attributes.clusterList?.length ?? 0,
      peerAddress: state.addressBits,
    },
  };
}

function importFacts({ peer }: PeerState, config: SpeakerConfig) {
  return {
    external: isExternal(peer.config),
    localAs: peer.config.localAs,
    allowedLocalAs: peer.policy.allowedLocalAs,
    routerId: config.routerId,
    ...(config.clusterId === undefined ? {} : { clusterId: config.clusterId }),
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
