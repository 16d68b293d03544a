import type { IpFamily } from "../../lib/ip-addr.ts";
import type { Negotiated } from "../peer/peer.ts";
import type { AttributeStore } from "../rib/attribute-store.ts";
import {
  keptOnLoss,
  longLivedSeconds,
  longLivedStale,
  lostByLongRestart,
  lostByRestart,
  restartSeconds,
  staleSeconds,
} from "../rib/stale-paths.ts";
import type { EffectQueue } from "./effect-queue.ts";
import type { FamilyState } from "./speaker.ts";
import type { PeerState } from "./speaker-peers.ts";

export interface StaleRoutesDeps {
  readonly families: Readonly<Record<IpFamily, FamilyState>>;
  readonly attributes: AttributeStore;
  readonly effects: EffectQueue;
}

/**
 * Routes that outlive the session that told them. After a loss they are stale for the peer's Restart
 * Time (RFC 4724 section 4.2), then, where both sides have said so, long-lived: the least preferred, and
 * for the peer's Long-lived Stale Time (RFC 9494 section 4.2). They go with End-of-RIB of a new session,
 * or with their timer.
 */
export class StaleRoutes {
  readonly #deps: StaleRoutesDeps;
  /** The last session of each peer that is down, by name: what it said still counts. */
  readonly #lost = new Map<string, Negotiated>();
  /** Families whose Long-lived Stale Time runs, by name. */
  readonly #longLived = new Map<string, Set<IpFamily>>();

  constructor(deps: StaleRoutesDeps) {
    this.#deps = deps;
  }

  /** A session is lost; `negotiated` was its. */
  lost({ number, peer }: PeerState, negotiated: Negotiated, graceful: boolean): void {
    const { effects } = this.#deps;
    const { name, gracefulRestartSeconds } = peer.config;
    const kept = keptOnLoss(negotiated, graceful);
    for (const { rib } of this.#families()) {
      if (kept.includes(rib.family)) rib.adjIn.markStale(number);
      else this.#drop(number, name, rib.family, "all");
    }
    effects.stopTimer(`stale ${name}`);
    if (kept.length === 0) {
      this.#lost.delete(name);
      return;
    }
    this.#lost.set(name, negotiated);
    const { families = [] } = negotiated.gracefulRestart ?? {};
    const seconds = restartSeconds(negotiated, gracefulRestartSeconds);
    for (const family of kept) {
      if (seconds === 0 || !families.includes(family)) this.#keepLong(number, name, family);
    }
    if (seconds > 0) effects.startTimer(`stale ${name}`, seconds);
  }

  /** A session is there: what its peer cannot have kept goes, the rest is bounded anew. */
  established({ number, peer }: PeerState, negotiated: Negotiated): void {
    const { effects } = this.#deps;
    const { name, gracefulRestartSeconds } = peer.config;
    this.#lost.delete(name);
    const lost = lostByRestart(negotiated);
    for (const family of [4, 6] as const) {
      const isGone = this.#isLongLived(name, family)
        ? lostByLongRestart(negotiated, family)
        : lost.includes(family);
      if (isGone) this.#drop(number, name, family, "stale");
    }
    effects.startTimer(`stale ${name}`, staleSeconds(negotiated, gracefulRestartSeconds));
  }

  /** The peer has told all that it has of one family. */
  synchronized({ number, peer }: PeerState, family: IpFamily): void {
    this.#drop(number, peer.config.name, family, "stale");
  }

  /**
   * The Restart Time is over, or a session has had enough time for its End-of-RIB. Without a session
   * some routes become long-lived.
   */
  expired({ number, peer, negotiated }: PeerState): void {
    const { name } = peer.config;
    const lost = negotiated === undefined ? this.#lost.get(name) : undefined;
    for (const family of [4, 6] as const) {
      const isKept = lost !== undefined && longLivedSeconds(lost, family) > 0;
      if (isKept) this.#keepLong(number, name, family);
      else this.#drop(number, name, family, "stale");
    }
  }

  /** The Long-lived Stale Time is over. */
  longLivedExpired({ number, peer }: PeerState, family: IpFamily): void {
    this.#drop(number, peer.config.name, family, "stale");
  }

  /** Somebody else sees to the routes of a peer. */
  leave({ peer }: PeerState): void {
    this.#stop(peer.config.name);
  }

  /** A peer gets a new session: what it told in the one before is stale. */
  succeed(before: PeerState, after: PeerState): void {
    const { name } = before.peer.config;
    const negotiated = before.negotiated ?? this.#lost.get(name);
    this.#stop(name);
    if (negotiated !== undefined) this.lost(after, negotiated, true);
  }

  forget({ number, peer }: PeerState): void {
    for (const { rib } of this.#families()) rib.dropPeer(number, "all");
    this.#stop(peer.config.name);
  }

  #stop(name: string): void {
    const { effects } = this.#deps;
    this.#lost.delete(name);
    effects.stopTimer(`stale ${name}`);
    for (const family of this.#longLived.get(name) ?? []) {
      effects.stopTimer(`longLived ${name} ${family}`);
    }
    this.#longLived.delete(name);
  }

  /** A timer that runs goes on: another restart does not give the routes more time. */
  #keepLong(number: number, name: string, family: IpFamily): void {
    const { families, attributes, effects } = this.#deps;
    families[family].rib.rewriteStale(number, (id) => {
      const { attributes: before, nextHop } = attributes.get(id);
      const after = longLivedStale(before);
      return after === undefined ? 0 : attributes.intern(after, nextHop);
    });
    const lost = this.#lost.get(name);
    if (lost === undefined || this.#isLongLived(name, family)) return;
    const running = this.#longLived.get(name) ?? new Set();
    this.#longLived.set(name, running.add(family));
    effects.startTimer(`longLived ${name} ${family}`, longLivedSeconds(lost, family));
  }

  #isLongLived(name: string, family: IpFamily): boolean {
    return this.#longLived.get(name)?.has(family) === true;
  }

  #drop(number: number, name: string, family: IpFamily, which: "all" | "stale"): void {
    this.#deps.families[family].rib.dropPeer(number, which);
    if (this.#longLived.get(name)?.delete(family) !== true) return;
    this.#deps.effects.stopTimer(`longLived ${name} ${family}`);
  }

  #families(): readonly FamilyState[] {
    const { families } = this.#deps;
    return [families[4], families[6]];
  }
}
