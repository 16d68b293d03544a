import { assertNever } from "../../lib/brand.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { Negotiated, PeerEvent } from "../peer/peer.ts";
import type { AttributeStore } from "../rib/attribute-store.ts";
import { internReceived } from "../rib/received-route.ts";
import { staleSeconds } from "../rib/stale-paths.ts";
import type { PlainRoutes, UpdateMessage } from "../wire/message.ts";
import type { EffectQueue } from "./effect-queue.ts";
import { PrefixLimits } from "./prefix-limits.ts";
import type { FamilyState } from "./speaker.ts";
import { isExternal, type PeerState, type SpeakerPeers } from "./speaker-peers.ts";
import { StaleRoutes } from "./stale-routes.ts";

/** A peer that sends no End-of-RIB has told all that it has after this long. */
const settleSeconds = 10;

export interface PeerSessionsDeps {
  readonly peers: SpeakerPeers;
  readonly families: Readonly<Record<IpFamily, FamilyState>>;
  readonly attributes: AttributeStore;
  readonly effects: EffectQueue;
  /** Decides what has changed, and tells it. */
  readonly flushSoon: () => void;
  /** As `flushSoon`, in this turn of the event loop. */
  readonly flushNext: () => void;
  /** A peer has told all that it has. */
  readonly onSettled: (name: string) => void;
  /** A session is there, and its peer says that it has restarted. */
  readonly onRestarting: (name: string) => void;
  /** False while a restart of ours is going on: see Convergence. */
  readonly mayEndRib: () => boolean;
}

type SessionEvent = Exclude<PeerEvent, { readonly kind: "dynamicAdded" | "dynamicRemoved" }>;

/** What becomes of routes when sessions come up, tell, restart and go down. */
export class PeerSessions {
  readonly #deps: PeerSessionsDeps;
  readonly #limits = new PrefixLimits();
  /** Names of peers that are down because they told too much. */
  readonly #over = new Set<string>();
  readonly #stale: StaleRoutes;
  /** Families of each session whose End-of-RIB has not come, by name. */
  readonly #untold = new Map<string, Set<IpFamily>>();

  constructor(deps: PeerSessionsDeps) {
    this.#deps = deps;
    this.#stale = new StaleRoutes(deps);
  }

  handle(state: PeerState, event: SessionEvent): void {
    switch (event.kind) {
      case "established":
        this.#established(state, event.negotiated);
        break;
      case "update":
        if (state.negotiated !== undefined) this.#update(state, event.update);
        break;
      case "refreshRequested":
        this.#tellAgain(state, event.family);
        break;
      case "refreshMarker":
        this.#refreshed(state, event.family, event.marker);
        break;
      case "drained":
        this.#drained(state);
        break;
      case "down":
        this.#down(state, event.graceful);
        break;
      default:
        assertNever(event);
    }
  }

  /** No End-of-RIB is sent: what has been told is all, or what is stale goes. */
  settleExpired(name: string): void {
    this.staleExpired(name);
  }

  /** Stale routes of a peer go, or become long-lived. */
  staleExpired(name: string): void {
    const state = this.#deps.peers.get(name);
    if (state === undefined) return;
    this.#stale.expired(state);
    if (state.negotiated !== undefined) this.#settled(name);
    this.#deps.flushSoon();
  }

  /** Long-lived stale routes of a peer go. */
  longLivedExpired(name: string, family: IpFamily): void {
    const state = this.#deps.peers.get(name);
    if (state === undefined) return;
    this.#stale.longLivedExpired(state, family);
    this.#deps.flushSoon();
  }

  /** A peer that told too much may come back. */
  release(name: string): void {
    if (!this.#over.delete(name)) return;
    this.#deps.effects.stopTimer(`restart ${name}`);
    this.#deps.effects.push({ kind: "keepDown", name });
  }

  /** The peer is not configured any more. */
  forget(state: PeerState): void {
    this.#leave(state);
    this.#stale.forget(state);
  }

  /** Somebody has taken the peer down: what it has told counts no more. */
  shutDown(state: PeerState): void {
    this.#stale.forget(state);
    this.#deps.flushSoon();
  }

  /** The session of a peer is over; its routes stay as they are. */
  leave(state: PeerState): void {
    this.#leave(state);
    this.#stale.leave(state);
  }

  /** A peer gets a new session. */
  succeed(before: PeerState, after: PeerState): void {
    this.#leave(before);
    this.#stale.succeed(before, after);
  }

  #leave(state: PeerState): void {
    const { name } = state.peer.config;
    for (const { groups } of this.#families()) groups.leave(state.number);
    this.#untold.delete(name);
    this.#deps.effects.stopTimer(`settle ${name}`);
    this.#limits.forget(name);
    // Who comes from a prefix comes again: what it told then counts.
    if (state.prefix === undefined) this.release(name);
  }

  #established(before: PeerState, negotiated: Negotiated): void {
    const { effects, peers, families } = this.#deps;
    const { name } = before.peer.config;
    if (this.#refusesAgain(before)) return;
    const state = { ...before, negotiated, routerId: negotiated.peerRouterId };
    peers.set(state);
    for (const { groups } of this.#families()) groups.leave(state.number);
    this.#stale.established(state, negotiated);
    this.#untold.set(name, new Set(negotiated.families));
    if (negotiated.gracefulRestart === undefined) {
      effects.startTimer(`settle ${name}`, settleSeconds);
    }
    for (const family of negotiated.families) families[family].groups.join(state);
    if (this.#deps.mayEndRib()) this.#endRib(state);
    if (negotiated.gracefulRestart?.restarting === true) this.#deps.onRestarting(name);
    this.#deps.flushSoon();
  }

  /** All is decided that there is to tell: End-of-RIB to those who have not had it. */
  endRibs(): void {
    for (const state of this.#deps.peers.all()) this.#endRib(state);
    this.#deps.flushSoon();
  }

  #endRib(state: PeerState): void {
    const { families, effects } = this.#deps;
    for (const family of state.negotiated?.families ?? []) {
      effects.send(families[family].groups.endRib(state));
    }
  }

  #update(state: PeerState, update: UpdateMessage): void {
    const { plain } = update;
    if (plain !== undefined) this.#announcePlain(state, plain);
    else this.#take(state, update);
    this.#checkLimits(state.number);
    this.#deps.flushSoon();
  }

  #announcePlain({ number }: PeerState, { buffer, start, end, prefixes }: PlainRoutes): void {
    const { families, attributes } = this.#deps;
    const attributesId = attributes.internBytes(buffer, end - start, start);
    families[prefixes.family].rib.announce(number, prefixes, attributesId);
  }

  #take(state: PeerState, update: UpdateMessage): void {
    const { families, attributes } = this.#deps;
    const { number, peer, negotiated } = state;
    for (const prefixes of update.withdrawn) {
      families[prefixes.family].rib.withdraw(number, prefixes);
    }
    const from = {
      external: isExternal(peer.config),
      fourOctetAs: negotiated?.fourOctetAs ?? true,
    };
    for (const { prefixes, nextHop } of update.announced) {
      const attributesId = internReceived(attributes, update, nextHop, from);
      families[prefixes.family].rib.announce(number, prefixes, attributesId);
    }
    for (const family of update.endOfRib) this.#endOfRib(state, family);
  }

  #endOfRib(state: PeerState, family: IpFamily): void {
    const { name } = state.peer.config;
    this.#stale.synchronized(state, family);
    const untold = this.#untold.get(name);
    untold?.delete(family);
    if (untold === undefined || untold.size === 0) this.#settled(name);
  }

  #tellAgain(state: PeerState, family: IpFamily): void {
    this.#deps.effects.send(this.#deps.families[family].groups.refresh(state));
    this.#deps.flushSoon();
  }

  /** What the peer does not tell between the markers is gone (RFC 7313 section 4). */
  #refreshed(state: PeerState, family: IpFamily, marker: "begin" | "end"): void {
    const { effects, families, flushSoon } = this.#deps;
    const { name } = state.peer.config;
    const { rib } = families[family];
    if (marker === "begin") {
      rib.adjIn.markStale(state.number);
      effects.startTimer(`stale ${name}`, restartSeconds(state));
      return;
    }
    rib.dropPeer(state.number, "stale");
    effects.stopTimer(`stale ${name}`);
    flushSoon();
  }

  #drained({ number }: PeerState): void {
    for (const { groups } of this.#families()) groups.drained(number);
    this.#deps.flushNext();
  }

  #down(before: PeerState, graceful: boolean): void {
    const { negotiated, ...state } = before;
    const { peers, effects, flushSoon } = this.#deps;
    peers.set(state);
    if (negotiated === undefined) return;
    const { name } = state.peer.config;
    for (const { groups } of this.#families()) groups.leave(state.number);
    this.#stale.lost(state, negotiated, graceful && !this.#over.has(name));
    this.#untold.delete(name);
    effects.stopTimer(`settle ${name}`);
    flushSoon();
  }

  #settled(name: string): void {
    const { effects, onSettled } = this.#deps;
    this.#untold.delete(name);
    effects.stopTimer(`stale ${name}`);
    effects.stopTimer(`settle ${name}`);
    onSettled(name);
  }

  #checkLimits(number: number): void {
    const { peers, effects } = this.#deps;
    const state = peers.numbered(number);
    if (state?.peer.policy.maxPrefixes === undefined) return;
    for (const { rib } of this.#families()) {
      const report = this.#limits.check(state.peer, rib.family, rib.adjIn.countOf(number));
      if (report === undefined) continue;
      effects.push({ kind: "prefixLimit", report });
      if (report.exceeded) this.#exceeded(state, rib.family);
    }
  }

  /** RFC 4486 section 4. */
  #exceeded(state: PeerState, family: IpFamily): void {
    const limits = state.peer.policy.maxPrefixes?.[family];
    if (limits?.onExceed !== "teardown") return;
    const { name } = state.peer.config;
    const { effects } = this.#deps;
    this.#over.add(name);
    this.#limits.forget(name);
    this.#end(state);
    if (state.prefix === undefined) {
      const message = `max-prefix: more than ${limits.limit} IPv${family} prefixes`;
      effects.push({ kind: "keepDown", name, message });
    }
    const seconds = limits.restartSeconds;
    if (seconds !== undefined) effects.startTimer(`restart ${name}`, seconds);
  }

  /** True when a peer is not wanted yet. Of a configured one somebody has asked for it. */
  #refusesAgain(state: PeerState): boolean {
    const { name } = state.peer.config;
    if (!this.#over.has(name)) return false;
    if (state.prefix === undefined) {
      this.#over.delete(name);
      this.#deps.effects.stopTimer(`restart ${name}`);
      return false;
    }
    this.#end(state);
    return true;
  }

  /** Ends a session because of what the peer tells; its routes go at once. */
  #end(state: PeerState): void {
    for (const { rib } of this.#families()) rib.dropPeer(state.number, "all");
    const { name } = state.peer.config;
    this.#deps.effects.push({ kind: "resetPeer", name, subcode: cease.maximumPrefixes });
  }

  #families(): readonly FamilyState[] {
    const { families } = this.#deps;
    return [families[4], families[6]];
  }
}

/** How long what is stale may stay (RFC 4724 section 4.2). */
function restartSeconds({ peer, negotiated }: PeerState): number {
  const configured = peer.config.gracefulRestartSeconds;
  return negotiated === undefined ? configured : staleSeconds(negotiated, configured);
}

/** Subcode of Cease (RFC 4486 section 3). */
const cease = { maximumPrefixes: 1 } as const;
