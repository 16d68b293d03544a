import { invariant } from "../../lib/brand.ts";
import { ipBits } from "../../lib/ip-addr.ts";
import type { Prefix } from "../../lib/prefix.ts";
import type { SpeakerPeer } from "../config/session.ts";
import type { Negotiated, PeerConfig } from "../peer/peer.ts";
import { RouteFilters } from "../policy/filter.ts";
import type { RouteSource } from "../policy/route-reflection.ts";
import { localPeer } from "../rib/adj-rib-in.ts";

/** A configured peer with what is known of its session. */
export interface PeerState {
  /** From 1; the RIBs know the peer by it. */
  readonly number: number;
  readonly peer: SpeakerPeer;
  /** The prefix of a peer that came by itself (dynamic neighbours). */
  readonly prefix?: Prefix;
  readonly addressBits: bigint;
  /** Set while the session is Established. */
  readonly negotiated?: Negotiated;
  /** Router ID of the last session: its routes may outlive it. */
  readonly routerId: number;
  /**
   * It is not configured any more, and goes when others have taken its place (see Retirement): with its
   * session, or only its routes are left.
   */
  readonly retiring?: "session" | "routes";
  /** Of the policy, compiled. */
  readonly importFilters?: RouteFilters;
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

  add(peer: SpeakerPeer, prefix?: Prefix): void {
    let number = 1;
    while (this.#byNumber[number] !== undefined) number++;
    // The RIBs keep it in two octets.
    invariant(number <= 0xffff, "a speaker has at most 65,535 peers");
    const addressBits = ipBits(peer.config.address);
    const origin = prefix === undefined ? {} : { prefix };
    this.set({ number, peer, addressBits, routerId: 0, ...origin, ...importFilters(peer) });
  }

  /** Gives a peer another policy; its session goes on. */
  replace(before: PeerState, peer: SpeakerPeer): PeerState {
    const { importFilters: _filters, retiring: _retiring, ...state } = before;
    const next = { ...state, peer, ...importFilters(peer) };
    this.set(next);
    return next;
  }

  /** Gives a peer another session; its number stays. */
  succeed(before: PeerState, peer: SpeakerPeer): PeerState {
    const { negotiated: _ended, ...state } = before;
    return this.replace(state, peer);
  }

  /** Leaves of a peer its routes only, so that its name is free. */
  keepRoutes(before: PeerState): PeerState {
    const { negotiated: _ended, peer, ...state } = before;
    const config = { ...peer.config, name: `${peer.config.name}, before ${before.number}` };
    const next = { ...state, peer: { ...peer, config }, retiring: "routes" as const };
    this.#byName.delete(peer.config.name);
    this.set(next);
    return next;
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

function importFilters({ config, policy }: SpeakerPeer): Pick<PeerState, "importFilters"> {
  const filters = policy.importFilters ?? [];
  if (filters.length === 0) return {};
  return { importFilters: new RouteFilters(filters, { external: isExternal(config) }) };
}
