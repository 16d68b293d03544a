import type { Prefix } from "../../lib/prefix.ts";
import type { SpeakerPeer } from "../config/session.ts";
import type { SpeakerConfig } from "../config/speaker-config.ts";
import type { PeerConfig } from "../peer/peer.ts";
import type { PeerState, SpeakerPeers } from "./speaker-peers.ts";

/** What a configuration changes about the peers. */
export interface RosterChange {
  /** Not configured any more, or with a new session. */
  readonly gone: readonly PeerState[];
  /** Their sessions go on with another policy. */
  readonly changed: readonly PeerState[];
  readonly added: readonly SpeakerPeer[];
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
    const gone: PeerState[] = [];
    const changed: PeerState[] = [];
    const kept = new Set<string>();
    for (const state of this.#peers.all()) {
      const peer = this.#nextOf(state, wanted);
      if (peer === undefined || !sameText(peer.config, state.peer.config)) {
        gone.push(state);
        continue;
      }
      kept.add(peer.config.name);
      if (!sameText(peer, state.peer)) changed.push(this.#peers.replace(state, peer));
    }
    return { gone, changed, added: peers.filter(({ config }) => !kept.has(config.name)) };
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

/** Configs are built by one function, so their fields have one order. */
function sameText(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
