import { assertNever } from "../../lib/brand.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { Negotiated, PeerEvent } from "../peer/peer.ts";
import type { AttributeStore } from "../rib/attribute-store.ts";
import { internReceived } from "../rib/received-route.ts";
import { keptOnLoss, lostByRestart, staleSeconds } from "../rib/stale-paths.ts";
import type { UpdateMessage } from "../wire/message.ts";
import type { EffectQueue } from "./effect-queue.ts";
import { PrefixLimits } from "./prefix-limits.ts";
import type { FamilyState } from "./speaker.ts";
import { isExternal, type PeerState, type SpeakerPeers } from "./speaker-peers.ts";

/** A peer that sends no End-of-RIB has told all that it has after this long. */
const settleSeconds = 10;

export interface PeerSessionsDeps {
  readonly peers: SpeakerPeers;
  readonly families: Readonly<Record<IpFamily, FamilyState>>;
  readonly effects: EffectQueue;
  readonly attributes: AttributeStore;
  /** Decides what has changed, and tells it. */
  readonly flushSoon: () => void;
  /** A peer has told all that it has. */
  readonly onSettled: (name: string) => void;
}

type SessionEvent = Exclude<PeerEvent, { readonly kind: "dynamicAdded" | "dynamicRemoved" }>;

/** What becomes of routes when sessions come up, tell, restart and go down. */
export class PeerSessions {
  readonly #deps: PeerSessionsDeps;
  readonly #limits = new PrefixLimits();
  /** Names of peers that are down because they told too much. */
  readonly #over = new Set<string>();

  constructor(deps: PeerSessionsDeps) {
    this.#deps = deps;
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
    this.#settled(name);
    this.#dropStale(name);
  }

  staleExpired(name: string): void {
    this.#dropStale(name);
  }

  /** A peer that told too much may come back. */
  release(name: string): void {
    if (!this.#over.delete(name)) return;
    this.#deps.effects.stopTimer(`restart ${name}`);
    this.#deps.effects.push({ kind: "keepDown", name });
  }

  /** The peer is not configured any more, or gets a new session. */
  forget(state: PeerState): void {
    const { name } = state.peer.config;
    const { effects } = this.#deps;
    for (const { rib, groups } of this.#families()) {
      groups.leave(state.number);
      rib.dropPeer(state.number, "all");
    }
    effects.stopTimer(`stale ${name}`);
    effects.stopTimer(`settle ${name}`);
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
    for (const family of lostByRestart(negotiated)) {
      families[family].rib.dropPeer(state.number, "stale");
    }
    effects.startTimer(`stale ${name}`, restartSeconds(state));
    if (negotiated.gracefulRestart === undefined) {
      effects.startTimer(`settle ${name}`, settleSeconds);
    }
    for (const family of negotiated.families) families[family].groups.join(state);
    this.#deps.flushSoon();
  }

  #update({ number, peer, negotiated }: PeerState, update: UpdateMessage): void {
    const { families, attributes } = this.#deps;
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
    for (const family of update.endOfRib) {
      families[family].rib.dropPeer(number, "stale");
      this.#settled(peer.config.name);
    }
    this.#checkLimits(number);
    this.#deps.flushSoon();
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
    for (const { groups } of this.#families()) this.#deps.effects.send(groups.drained(number));
    this.#deps.flushSoon();
  }

  #down(before: PeerState, graceful: boolean): void {
    const { negotiated, ...state } = before;
    const { peers, effects, flushSoon } = this.#deps;
    peers.set(state);
    if (negotiated === undefined) return;
    const { name } = state.peer.config;
    const kept = this.#over.has(name) ? [] : keptOnLoss(negotiated, graceful);
    for (const { rib, groups } of this.#families()) {
      groups.leave(state.number);
      if (kept.includes(rib.family)) rib.adjIn.markStale(state.number);
      else rib.dropPeer(state.number, "all");
    }
    effects.stopTimer(`settle ${name}`);
    if (kept.length > 0) effects.startTimer(`stale ${name}`, restartSeconds(before));
    else effects.stopTimer(`stale ${name}`);
    flushSoon();
  }

  #dropStale(name: string): void {
    const { peers, flushSoon } = this.#deps;
    const state = peers.get(name);
    if (state === undefined) return;
    for (const { rib } of this.#families()) rib.dropPeer(state.number, "stale");
    flushSoon();
  }

  #settled(name: string): void {
    const { effects, onSettled } = this.#deps;
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
