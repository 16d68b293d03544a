import type { SpeakerConfig } from "../config/speaker-config.ts";
import type { PeerConfig } from "../peer/peer.ts";
import type { EffectQueue } from "./effect-queue.ts";
import type { RosterChange } from "./peer-roster.ts";
import type { FamilyState } from "./speaker.ts";
import type { PeerState, SpeakerPeers } from "./speaker-peers.ts";

/** How often it is looked whether sessions may end. */
const tickSeconds = 1;
/** Resources that are changed together may arrive apart by so much. */
const graceTicks = 2;
/** Longest wait for the sessions that others are to be replaced by. */
const deadlineTicks = 60;

/** Subcode of Cease (RFC 4486 section 3): unlike Peer De-configured, the other end keeps our routes. */
const otherConfigurationChange = 6;

export interface RetirementDeps {
  readonly peers: SpeakerPeers;
  readonly families: readonly FamilyState[];
  readonly effects: EffectQueue;
  /** A peer is gone with all its routes. */
  readonly forget: (state: PeerState) => void;
  /** A session is over; its routes stay. */
  readonly leave: (state: PeerState) => void;
}

/**
 * Make before break: sessions that a configuration takes away in favour of others (mesh to reflectors,
 * one reflector to another) go on until the others have told all and each route has another way, or
 * until a deadline. Until then their routes are the least preferred. The other end may be as far or not:
 * the session ends in a way that lets it keep our routes.
 */
export class Retirement {
  readonly #deps: RetirementDeps;
  /** Names of peers that were added since and have not told all that they have. */
  readonly #awaited = new Set<string>();
  /** Ticks since each retiring peer was taken away, by name. */
  readonly #ticks = new Map<string, number>();
  #isReplaced = false;
  #meshGoesOn = false;

  constructor(deps: RetirementDeps) {
    this.#deps = deps;
  }

  /**
   * A configuration has taken some peers away and added others. Gives those that end now; the rest stay
   * for a while.
   */
  begin(change: RosterChange, config: SpeakerConfig): readonly PeerState[] {
    const { gone, replaced, succeeded } = change;
    const staying = gone.filter((state) => mayStay(state, config));
    const retiring = [...staying, ...replaced.map((state) => this.#keepRoutes(state))];
    const added = [...change.added, ...succeeded.map(({ peer }) => peer)];
    const names = new Set(retiring.map(({ peer }) => peer.config.name));
    for (const name of this.#ticks.keys()) if (!names.has(name)) this.#ticks.delete(name);
    if (this.#ticks.size === 0) this.#startAnew(retiring.length > 0);
    for (const state of retiring) this.#retire(state);
    for (const { config: peer } of retiring.length > 0 ? added : []) {
      if (peer.shutdown === undefined) this.#awaited.add(peer.name);
    }
    this.#isReplaced ||= added.length > 0;
    this.#meshGoesOn = config.peers.some(({ type }) => type === "NodeMesh");
    return gone.filter((state) => !staying.includes(state));
  }

  /** A peer has told all that it has, or is gone. */
  settled(name: string): void {
    this.#awaited.delete(name);
  }

  /** True when a session has ended: the peers are to be configured again. */
  expired(): boolean {
    for (const [name, ticks] of this.#ticks) this.#ticks.set(name, ticks + 1);
    const ending = [...this.#retiring()].filter((state) => this.#mayEnd(state));
    for (const state of ending) this.#end(state);
    if (this.#ticks.size > 0) this.#deps.effects.startTimer("retire", tickSeconds);
    return ending.length > 0;
  }

  /** Sessions that go on besides those that are configured. */
  configs(): readonly PeerConfig[] {
    return [...this.#retiring()]
      .filter(({ retiring }) => retiring === "session")
      .map(({ peer }) => peer.config);
  }

  *#retiring(): Generator<PeerState> {
    for (const state of this.#deps.peers.all()) if (state.retiring !== undefined) yield state;
  }

  #startAnew(begins: boolean): void {
    const { effects } = this.#deps;
    this.#isReplaced = false;
    this.#awaited.clear();
    if (begins) effects.startTimer("retire", tickSeconds);
    else effects.stopTimer("retire");
  }

  /** A neighbor in another role tells other routes, and ends its RIB before others may have told these. */
  #keepRoutes(state: PeerState): PeerState {
    this.#deps.leave(state);
    return this.#deps.peers.keepRoutes(state);
  }

  #retire(state: PeerState): void {
    const { name } = state.peer.config;
    this.#deps.peers.set({ ...state, retiring: state.retiring ?? "session" });
    if (!this.#ticks.has(name)) this.#ticks.set(name, 0);
  }

  /** A node that leaves a mesh that goes on is gone, unless its own session follows at once. */
  #mayEnd(state: PeerState): boolean {
    const { retiring, peer } = state;
    const { type, config } = peer;
    const ticks = this.#ticks.get(config.name) ?? 0;
    const hasLeftMesh = retiring === "session" && type === "NodeMesh" && this.#meshGoesOn;
    const isGone = !this.#isReplaced || hasLeftMesh;
    if (isGone) return ticks >= graceTicks;
    return ticks >= deadlineTicks || (this.#awaited.size === 0 && this.#hasOtherWays(state));
  }

  /** No route of the peer is the best: as the least preferred it is only where there is no other. */
  #hasOtherWays({ number }: PeerState): boolean {
    return this.#deps.families.every(({ rib }) =>
      rib.adjIn.prefixesOf(number).every((prefixId) => rib.loc.get(prefixId)?.peer !== number),
    );
  }

  #end(state: PeerState): void {
    const { name } = state.peer.config;
    this.#ticks.delete(name);
    if (state.retiring === "session") {
      this.#deps.effects.push({ kind: "resetPeer", name, subcode: otherConfigurationChange });
    }
    this.#deps.forget(state);
  }
}

/** A peer that is in another AS now is gone at once, and so is one that has told nothing. */
function mayStay({ peer, negotiated, retiring }: PeerState, { peers }: SpeakerConfig): boolean {
  if (retiring === "routes") return true;
  if (retiring === undefined && (negotiated === undefined || peer.type === "Dynamic")) return false;
  const { address, zone } = peer.config;
  return !peers.some(({ config }) => config.address === address && config.zone === zone);
}
