import type { KernelRoute } from "../../kernel/kernel.ts";
import { assertNever } from "../../lib/brand.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { Prefix } from "../../lib/prefix.ts";
import type { SpeakerConfig } from "../config/speaker-config.ts";
import { installs } from "../fib/desired-routes.ts";
import type { Negotiated, PeerEvent } from "../peer/peer.ts";
import { AttributeStore } from "../rib/attribute-store.ts";
import { FamilyRib } from "../rib/family-rib.ts";
import type { NextHops } from "../rib/next-hop.ts";
import { keptOnLoss, lostByRestart, staleSeconds } from "../rib/stale-paths.ts";
import type { PeerBytes } from "../rib/update-group.ts";
import type { UpdateMessage } from "../wire/message.ts";
import type { SpeakerEffect, SpeakerEvent, SpeakerTimer } from "./events.ts";
import { ExportGroups, exportRules } from "./export-groups.ts";
import { Forwarding } from "./forwarding.ts";
import { localRoutes } from "./local-routes.ts";
import { type PeerState, SpeakerPeers } from "./speaker-peers.ts";

/** Longest wait for peers after a start (facts 5.1, restart time), and for one without End-of-RIB. */
const convergenceSeconds = 120;
const settleSeconds = 10;

/** The RIB of one family and what is exported of it. */
export interface FamilyState {
  readonly rib: FamilyRib;
  readonly groups: ExportGroups;
}

/**
 * The core of a speaker: events in, effects out. No clock, socket or log; the RIBs behind it are
 * changed in place. Own routes are told at once; routes of others as they come: nothing waits for
 * End-of-RIB but the removal of what an earlier run left in the kernel.
 */
export class Speaker {
  readonly attributes: AttributeStore = new AttributeStore();
  readonly peers: SpeakerPeers = new SpeakerPeers();
  readonly forwarding: Forwarding = new Forwarding(this.attributes, this.peers);
  readonly families: Readonly<Record<IpFamily, FamilyState>>;
  config: SpeakerConfig | undefined;
  converged = false;
  /** Routes leave with GRACEFUL_SHUTDOWN (RFC 8326). */
  draining = false;
  #programs = true;
  #flushAsked = false;
  /** Names of peers whose first End-of-RIB has not come. */
  readonly #awaited = new Set<string>();
  #effects: SpeakerEffect[] = [];

  constructor() {
    const state = (family: IpFamily): FamilyState => {
      const rib = new FamilyRib(family, this.attributes);
      const { attributes, peers, forwarding } = this;
      return { rib, groups: new ExportGroups(rib, { attributes, peers, forwarding }) };
    };
    this.families = { 4: state(4), 6: state(6) };
  }

  handle(event: SpeakerEvent): readonly SpeakerEffect[] {
    switch (event.kind) {
      case "configured":
        this.#configure(event.config);
        break;
      case "nextHops":
        this.#resolveAnew(event.nextHops);
        break;
      case "peer":
        this.#peerEvent(event.event);
        break;
      case "blocked":
        this.#eachFamily(event.name, ({ groups }, { number }) => groups.block(number));
        break;
      case "timerExpired":
        this.#timerExpired(event.timer);
        break;
      case "flush":
        this.#flush();
        break;
      case "drain":
        this.#drain(event.on);
        break;
      default:
        assertNever(event);
    }
    return this.#takeEffects();
  }

  /** A route of an earlier run may stay in the kernel until the RIB has converged. */
  mayKeep(route: KernelRoute): boolean {
    return !this.converged && this.forwarding.mayWant(route);
  }

  #configure(config: SpeakerConfig): void {
    const before = this.config;
    const first = before === undefined;
    this.config = config;
    this.forwarding.configure(config);
    this.#setExportRules(config);
    const changed = this.#configurePeers(config, first);
    for (const { rib } of this.#all()) {
      rib.originate(localRoutes(config, rib.family));
      rib.markAll();
    }
    // What was programmed before has to go.
    this.#programs = installs(config) || (before !== undefined && installs(before));
    this.#flush("configured");
    this.#programs = installs(config);
    for (const state of changed) {
      for (const { groups } of this.#all()) this.#send(groups.move(state));
    }
    this.#effects.push({
      kind: "configurePeers",
      peers: config.peers.map((peer) => peer.config),
    });
    if (first) this.#startTimer("convergence", convergenceSeconds);
    this.#checkConverged();
  }

  /** Forgets peers that are gone or get a new session. Gives those that only export differently. */
  #configurePeers(config: SpeakerConfig, first: boolean): PeerState[] {
    const wanted = new Map(config.peers.map((peer) => [peer.config.name, peer]));
    const changed: PeerState[] = [];
    for (const state of this.peers.all()) {
      const peer = wanted.get(state.peer.config.name);
      if (peer !== undefined && sameText(peer.config, state.peer.config)) {
        if (!sameText(peer, state.peer)) changed.push(this.peers.replace(state, peer));
      } else {
        this.#forget(state);
      }
    }
    for (const [name, peer] of wanted) {
      if (this.peers.get(name) !== undefined) continue;
      this.peers.add(peer);
      if (first) this.#awaited.add(name);
    }
    return changed;
  }

  #forget(state: PeerState): void {
    const { name } = state.peer.config;
    for (const { rib, groups } of this.#all()) {
      groups.leave(state.number);
      rib.dropPeer(state.number, "all");
    }
    this.#stopTimer(`stale ${name}`);
    this.#stopTimer(`settle ${name}`);
    this.#awaited.delete(name);
    this.peers.remove(state);
  }

  #drain(on: boolean): void {
    this.draining = on;
    if (this.config === undefined) return;
    this.#setExportRules(this.config);
    for (const { rib } of this.#all()) rib.markAll();
    this.#askFlush();
  }

  #setExportRules(config: SpeakerConfig): void {
    const rules = exportRules(config, this.draining);
    for (const { groups } of this.#all()) groups.setRules(rules);
  }

  #resolveAnew(nextHops: NextHops): void {
    if (!this.forwarding.setNextHops(nextHops)) return;
    for (const { rib } of this.#all()) rib.markAll();
    this.#askFlush();
  }

  #peerEvent(event: PeerEvent): void {
    if (event.kind === "dynamicAdded") return;
    const state = this.peers.get(event.name);
    if (state === undefined) return;
    switch (event.kind) {
      case "established":
        this.#established(state, event.negotiated);
        break;
      case "update":
        this.#update(state, event.update);
        break;
      case "refreshRequested":
        this.#flush();
        this.#send(this.families[event.family].groups.refresh(state.number));
        break;
      case "refreshMarker":
      case "dynamicRemoved":
        break;
      case "drained":
        this.#flush();
        for (const { groups } of this.#all()) this.#send(groups.drained(state.number));
        break;
      case "down":
        this.#down(state, event.graceful);
        break;
      default:
        assertNever(event);
    }
  }

  #established(before: PeerState, negotiated: Negotiated): void {
    const state = { ...before, negotiated, routerId: negotiated.peerRouterId };
    const { name } = state.peer.config;
    this.peers.set(state);
    for (const { groups } of this.#all()) groups.leave(state.number);
    for (const family of lostByRestart(negotiated)) {
      this.families[family].rib.dropPeer(state.number, "stale");
    }
    this.#startTimer(`stale ${name}`, this.#staleSeconds(state));
    if (negotiated.gracefulRestart === undefined) this.#startTimer(`settle ${name}`, settleSeconds);
    this.#flush();
    for (const family of negotiated.families) {
      this.#send(this.families[family].groups.join(state));
    }
  }

  #update({ number, peer }: PeerState, update: UpdateMessage): void {
    for (const prefixes of update.withdrawn) {
      this.families[prefixes.family].rib.withdraw(number, prefixes);
    }
    const { attributes } = update;
    for (const { prefixes, nextHop } of update.announced) {
      if (attributes === undefined) continue;
      this.families[prefixes.family].rib.announce(number, prefixes, { attributes, nextHop });
    }
    for (const family of update.endOfRib) {
      this.families[family].rib.dropPeer(number, "stale");
      this.#settled(peer.config.name);
    }
    this.#askFlush();
  }

  #down(before: PeerState, graceful: boolean): void {
    const { negotiated, ...state } = before;
    this.peers.set(state);
    if (negotiated === undefined) return;
    const kept = keptOnLoss(negotiated, graceful);
    for (const { rib, groups } of this.#all()) {
      groups.leave(state.number);
      if (kept.includes(rib.family)) rib.adjIn.markStale(state.number);
      else rib.dropPeer(state.number, "all");
    }
    const { name } = state.peer.config;
    this.#stopTimer(`settle ${name}`);
    if (kept.length > 0) this.#startTimer(`stale ${name}`, this.#staleSeconds(before));
    else this.#stopTimer(`stale ${name}`);
    this.#askFlush();
  }

  #timerExpired(timer: SpeakerTimer): void {
    if (timer === "convergence") {
      this.#awaited.clear();
      this.#checkConverged();
      return;
    }
    const [what = "", name = ""] = timer.split(" ");
    if (what === "settle") this.#settled(name);
    const state = this.peers.get(name);
    if (state === undefined) return;
    for (const { rib } of this.#all()) rib.dropPeer(state.number, "stale");
    this.#askFlush();
  }

  /** A peer has told all that it has. */
  #settled(name: string): void {
    this.#stopTimer(`stale ${name}`);
    this.#stopTimer(`settle ${name}`);
    if (this.#awaited.delete(name)) this.#checkConverged();
  }

  #checkConverged(): void {
    if (this.converged || this.config === undefined || this.#awaited.size > 0) return;
    this.converged = true;
    this.#flush();
    this.#stopTimer("convergence");
    this.#effects.push({ kind: "converged" });
  }

  /** Decides what has changed; then the peers and the kernel are told. */
  #flush(event?: "configured"): void {
    this.#flushAsked = false;
    const routes = new Map<Prefix, KernelRoute | undefined>();
    for (const state of this.#all()) this.#flushFamily(state, routes);
    if (routes.size > 0 || event === "configured") {
      this.#effects.push({ kind: "setRoutes", routes });
    }
  }

  #flushFamily({ rib, groups }: FamilyState, routes: Map<Prefix, KernelRoute | undefined>): void {
    const decided = rib.decideDirty(
      (stored, prefixId) => this.forwarding.judge(rib, prefixId, stored),
      (prefixId, decision) => {
        const route = this.forwarding.kernelRoute(rib, prefixId, decision);
        if (this.#programs) {
          routes.set(rib.table.prefixAt(prefixId), typeof route === "string" ? undefined : route);
        }
        groups.export(prefixId, rib.loc.get(prefixId));
      },
    );
    this.#send(groups.flush());
    this.forwarding.endBatch();
    rib.sweep(decided);
  }

  #askFlush(): void {
    if (this.#flushAsked || !this.#all().some(({ rib }) => rib.isDirty)) return;
    this.#flushAsked = true;
    this.#effects.push({ kind: "flushSoon" });
  }

  #staleSeconds({ peer, negotiated }: PeerState): number {
    const configured = peer.config.gracefulRestartSeconds;
    return negotiated === undefined ? configured : staleSeconds(negotiated, configured);
  }

  #eachFamily(name: string, visit: (family: FamilyState, state: PeerState) => void): void {
    const state = this.peers.get(name);
    if (state === undefined) return;
    for (const family of this.#all()) visit(family, state);
  }

  #send(bytes: readonly PeerBytes[]): void {
    for (const each of bytes) this.#effects.push({ kind: "send", ...each });
  }

  #startTimer(timer: SpeakerTimer, seconds: number): void {
    this.#effects.push({ kind: "startTimer", timer, seconds });
  }

  #stopTimer(timer: SpeakerTimer): void {
    this.#effects.push({ kind: "stopTimer", timer });
  }

  #all(): readonly FamilyState[] {
    return [this.families[4], this.families[6]];
  }

  #takeEffects(): readonly SpeakerEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}

/** Configs are built by one function, so their fields have one order. */
function sameText(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
