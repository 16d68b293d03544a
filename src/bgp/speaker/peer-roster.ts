import type { Prefix } from "../../lib/prefix.ts";
import type { SpeakerPeer } from "../config/session.ts";
import type { SpeakerConfig } from "../config/speaker-config.ts";
import type { PeerConfig } from "../peer/peer.ts";
import type { PeerState, SpeakerPeers } from "./speaker-peers.ts";

/** What a configuration changes about the peers. */
export interface RosterChange {
  /** Not configured any more. */
  readonly gone: readonly PeerState[];
  /** The same peer with a new session: what the old one told is stale. */
  readonly succeeded: readonly Succession[];
  /** The same neighbors are among `added` in another role. */
  readonly replaced: readonly PeerState[];
  /** Their sessions go on with another policy. */
  readonly changed: readonly PeerState[];
  readonly added: readonly SpeakerPeer[];
}

export interface Succession {
  readonly before: PeerState;
  readonly peer: SpeakerPeer;
}

/**
 * Who the peers are: those that a configuration names, and those that have come from one of its
 * prefixes. The latter come and go by themselves, as their sessions do.
 */
export class PeerRoster {
  readonly #peers: SpeakerPeers;
  #dynamic: NonNullable<SpeakerConfig["dynamicPeers"]> = [];

  constructor(peers: SpeakerPeers) {
    this.#peers = peers;
  }

  /** What is to be done; the policies of sessions that go on are changed here. */
  configure({ peers, dynamicPeers = [] }: SpeakerConfig): RosterChange {
    this.#dynamic = dynamicPeers;
    const wanted = new Map(peers.map((peer) => [peer.config.name, peer]));
    const left: PeerState[] = [];
    const changed: PeerState[] = [];
    const kept = new Set<string>();
    for (const state of this.#peers.all()) {
      const peer = this.#nextOf(state, wanted);
      if (peer === undefined || !sameText(peer.config, state.peer.config)) {
        left.push(state);
        continue;
      }
      kept.add(peer.config.name);
      const isWantedAgain = state.retiring !== undefined;
      if (isWantedAgain || !sameText(peer, state.peer)) {
        changed.push(this.#peers.replace(state, peer));
      }
    }
    const fresh = peers.filter(({ config }) => !kept.has(config.name));
    const successors = successions(
      left,
      fresh.filter(({ config }) => config.shutdown === undefined),
    );
    const isRenamed = ({ before, peer }: Succession) =>
      before.peer.config.name !== peer.config.name;
    const succeeded = successors.filter((each) => !isRenamed(each));
    return {
      gone: left.filter((state) => !successors.some(({ before }) => before === state)),
      succeeded,
      replaced: successors.filter(isRenamed).map(({ before }) => before),
      changed,
      added: fresh.filter((peer) => !succeeded.some((each) => each.peer === peer)),
    };
  }

  /** Somebody has come from `prefix`. */
  addDynamic(config: PeerConfig, prefix: Prefix): void {
    const peers = this.#dynamic.find((each) => each.peers.prefix === prefix);
    if (peers === undefined) return;
    const { policy, description } = peers;
    const described = description === undefined ? {} : { description };
    const origin = `neighbors of ${prefix}`;
    this.#peers.add({ type: "Dynamic", config, policy, origin, ...described }, prefix);
  }

  /** One that came from a prefix stays until its session ends: the peers see to that. */
  #nextOf(
    { peer, prefix }: PeerState,
    wanted: ReadonlyMap<string, SpeakerPeer>,
  ): SpeakerPeer | undefined {
    if (prefix === undefined) return wanted.get(peer.config.name);
    const peers = this.#dynamic.find((each) => each.peers.prefix === prefix);
    return peers === undefined ? peer : { ...peer, policy: peers.policy };
  }
}

/**
 * The same address in the same two ASes is the same neighbor, under whatever name. One that is shut down
 * from now on is not among `fresh`: what it told before goes at once.
 */
function successions(
  left: readonly PeerState[],
  fresh: readonly SpeakerPeer[],
): readonly Succession[] {
  const identity = ({ address, zone = "", remoteAs, localAs }: PeerConfig) =>
    `${address} ${zone} ${remoteAs} ${localAs}`;
  const sessions = left.filter(({ retiring }) => retiring !== "routes");
  const byIdentity = new Map(sessions.map((before) => [identity(before.peer.config), before]));
  return fresh.flatMap((peer) => {
    const before = byIdentity.get(identity(peer.config));
    return before === undefined ? [] : [{ before, peer }];
  });
}

/** Configs are built by one function, so their fields have one order. */
function sameText(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
