import type { KernelRoute } from "../../kernel/kernel.ts";
import { assertNever } from "../../lib/brand.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { Prefix } from "../../lib/prefix.ts";
import { TimeSlice } from "../../lib/time-slice.ts";
import type { SpeakerPeer } from "../config/session.ts";
import type { SpeakerConfig } from "../config/speaker-config.ts";
import { installs, isFelixs } from "../fib/desired-routes.ts";
import type { FibEntry } from "../fib/fib-sync.ts";
import type { PeerEvent } from "../peer/peer.ts";
import { AttributeStore } from "../rib/attribute-store.ts";
import { FamilyRib } from "../rib/family-rib.ts";
import type { NextHops } from "../rib/next-hop.ts";
import { Convergence } from "./convergence.ts";
import { EffectQueue } from "./effect-queue.ts";
import type { SpeakerEffect, SpeakerEvent, SpeakerTimer } from "./events.ts";
import { ExportGroups, exportRules } from "./export-groups.ts";
import { Forwarding } from "./forwarding.ts";
import { borrowedPods } from "./local-pods.ts";
import { localRoutes } from "./local-routes.ts";
import { PeerRoster } from "./peer-roster.ts";
import { PeerSessions } from "./peer-sessions.ts";
import { Retirement } from "./retirement.ts";
import { type PeerState, SpeakerPeers } from "./speaker-peers.ts";

/** Prefixes that one flush decides at most, or puts into a new group: some ms of work. */
const flushSlice = 10_000;
/** It ends sooner where deciding and telling take this long. */
const flushMs = 8;
/** Prefixes that are decided before it is looked at. */
const decideStep = 500;

/** The RIB of one family and what is exported of it. */
export interface FamilyState {
  readonly rib: FamilyRib;
  readonly groups: ExportGroups;
}

/**
 * The core of a speaker: events in, effects out. No socket or log, and a clock only to cut work into
 * slices, which change nothing in the end; the RIBs behind it are changed in place. Own routes are told at once; routes of others as they come: nothing waits for
 * End-of-RIB but the removal of what an earlier run left in the kernel.
 */
export class Speaker {
  readonly attributes: AttributeStore = new AttributeStore();
  readonly peers: SpeakerPeers = new SpeakerPeers();
  readonly forwarding: Forwarding = new Forwarding(this.attributes, this.peers);
  readonly families: Readonly<Record<IpFamily, FamilyState>>;
  config: SpeakerConfig | undefined;
  #programs = true;
  #flushAsked: "no" | "soon" | "next" = "no";
  readonly #now: () => number;
  readonly #effects = new EffectQueue();
  readonly #convergence = new Convergence(this.#effects);
  readonly #roster = new PeerRoster(this.peers);
  readonly #sessions: PeerSessions;
  readonly #retirement: Retirement;

  /** `now`: in ms. Absent: slices are of a fixed size. */
  constructor({ now = () => 0 }: { readonly now?: () => number } = {}) {
    this.#now = now;
    const state = (family: IpFamily): FamilyState => {
      const rib = new FamilyRib(family, this.attributes);
      const { attributes, peers, forwarding } = this;
      return { rib, groups: new ExportGroups(rib, { attributes, peers, forwarding }) };
    };
    this.families = { 4: state(4), 6: state(6) };
    this.#sessions = new PeerSessions({
      peers: this.peers,
      families: this.families,
      attributes: this.attributes,
      effects: this.#effects,
      flushSoon: () => this.#askFlush(),
      flushNext: () => this.#askFlush("next"),
      onSettled: (name) => {
        this.#convergence.settled(name);
        this.#retirement.settled(name);
        this.#checkConverged();
      },
      onRestarting: (name) => {
        this.#convergence.restarts(name);
        this.#checkConverged();
      },
      mayEndRib: () => this.#convergence.mayEndRib,
    });
    this.#retirement = new Retirement({
      peers: this.peers,
      families: this.#all(),
      effects: this.#effects,
      forget: (state) => this.#forget(state),
      leave: (state) => this.#leave(state),
    });
  }

  /** All that its peers know is known: see Convergence. */
  get converged(): boolean {
    return this.#convergence.isReached;
  }

  /** Peers are told so in our OPEN (RFC 4724 section 3, the Restart State bit). */
  get isRestarting(): boolean {
    return this.#convergence.isRestart && !this.converged;
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
      case "shutDown":
        this.#shutDown(event.name);
        break;
      case "blocked":
        this.#eachFamily(event.name, ({ groups }, { number }) => groups.block(number));
        break;
      case "timerExpired":
        this.#timerExpired(event.timer);
        break;
      case "flush":
        this.#flush();
        this.#conclude();
        break;
      case "restarted":
        this.#convergence.isRestart = true;
        break;
      default:
        assertNever(event);
    }
    return this.#effects.take();
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
    const change = this.#roster.configure(config);
    const { succeeded, changed, added } = change;
    for (const { before, peer } of succeeded) {
      this.#sessions.succeed(before, this.peers.succeed(before, peer));
      this.#convergence.settled(before.peer.config.name);
    }
    for (const state of this.#retirement.begin(change, config)) this.#forget(state);
    for (const peer of added) this.peers.add(peer);
    // Another policy may allow more.
    for (const { peer } of changed) this.#sessions.release(peer.config.name);
    if (first) this.#convergence.start(expected(added));
    this.#originate(config);
    for (const { rib } of this.#all()) rib.markAll();
    // What was programmed before has to go.
    this.#programs = installs(config) || (before !== undefined && installs(before));
    this.#flush("configured");
    this.#programs = installs(config);
    for (const state of changed) {
      for (const { groups } of this.#all()) groups.move(state);
    }
    this.#askFlush();
    this.#configurePeers(config);
    this.#checkConverged();
  }

  #configurePeers({ peers }: SpeakerConfig): void {
    const wanted = [...peers.map(({ config }) => config), ...this.#retirement.configs()];
    this.#effects.push({ kind: "configurePeers", peers: wanted });
  }

  #retire(): void {
    if (this.#retirement.expired() && this.config !== undefined) this.#configurePeers(this.config);
  }

  #leave(state: PeerState): void {
    this.#sessions.leave(state);
    this.#convergence.settled(state.peer.config.name);
  }

  #forget(state: PeerState): void {
    this.#sessions.forget(state);
    this.#convergence.settled(state.peer.config.name);
    this.#retirement.settled(state.peer.config.name);
    this.peers.remove(state);
    this.#askFlush();
  }

  #setExportRules(config: SpeakerConfig): void {
    const rules = exportRules(config, config.draining === true);
    for (const { groups } of this.#all()) groups.setRules(rules);
  }

  #resolveAnew(nextHops: NextHops): void {
    const before = this.forwarding.pods;
    const isAnother = this.forwarding.setNextHops(nextHops);
    if (this.config !== undefined) this.#originate(this.config);
    const changed = before.symmetricDifference(this.forwarding.pods);
    for (const { rib } of this.#all()) {
      if (isAnother) rib.markAll();
      else for (const pod of changed) rib.mark(pod);
    }
    this.#askFlush();
  }

  #originate(config: SpeakerConfig): void {
    const pods = borrowedPods(this.forwarding.pods, config);
    const all = { ...config, originated: [...config.originated, ...pods] };
    for (const { rib } of this.#all()) rib.originate(localRoutes(all, rib.family));
  }

  #peerEvent(event: PeerEvent): void {
    if (event.kind === "dynamicAdded") {
      this.#roster.addDynamic(event.config, event.prefix);
      return;
    }
    const state = this.peers.get(event.name);
    if (state === undefined) return;
    if (event.kind === "dynamicRemoved") this.#forget(state);
    else this.#sessions.handle(state, event);
  }

  #shutDown(name: string): void {
    const state = this.peers.get(name);
    if (state === undefined) return;
    this.#sessions.shutDown(state);
    this.#convergence.settled(name);
    this.#retirement.settled(name);
    this.#checkConverged();
  }

  #timerExpired(timer: SpeakerTimer): void {
    const [what = "", name = "", family] = timer.split(" ");
    if (what === "convergence") this.#convergence.timedOut();
    else if (what === "retire") this.#retire();
    else if (what === "settle") this.#sessions.settleExpired(name);
    else if (what === "stale") this.#sessions.staleExpired(name);
    else if (what === "longLived") this.#sessions.longLivedExpired(name, family === "6" ? 6 : 4);
    else if (what === "restart") this.#sessions.release(name);
    this.#checkConverged();
  }

  #checkConverged(): void {
    if (!this.#convergence.isDue) return;
    this.#flush();
    this.#conclude();
  }

  /** Peers and kernel may forget what they know of an earlier run, once all is decided. */
  #conclude(): void {
    if (!this.#convergence.isDue || this.#all().some(({ rib }) => rib.isDirty)) return;
    if (this.#convergence.endRibs()) this.#sessions.endRibs();
    if (!this.#convergence.reach()) return;
    this.#effects.stopTimer("convergence");
    this.#effects.push({ kind: "converged" });
  }

  /**
   * Decides what has changed, as much as one slice is; then the peers and the kernel are told. What is
   * left is asked for at once.
   */
  #flush(event?: "configured"): void {
    this.#flushAsked = "no";
    const routes = new Map<Prefix, FibEntry>();
    for (const state of this.#all()) {
      const decides = event === "configured" || !state.groups.isBehind;
      this.#flushFamily(state, routes, decides ? flushSlice : 0);
    }
    if (routes.size > 0 || event === "configured") {
      this.#effects.push({ kind: "setRoutes", routes });
    }
    this.#askFlush("next");
  }

  /** `limit`: prefixes to decide. */
  #flushFamily(state: FamilyState, routes: Map<Prefix, FibEntry>, limit: number): void {
    const { rib, groups } = state;
    const slice = new TimeSlice(this.#now, flushMs);
    const decided: Uint32Array[] = [];
    for (let left = limit; left > 0 && rib.isDirty; left -= decideStep) {
      decided.push(this.#decide(state, routes));
      if (slice.isOver) break;
    }
    this.#effects.send(groups.flush(flushSlice, slice));
    this.forwarding.endBatch();
    for (const prefixIds of decided) rib.sweep(prefixIds);
  }

  #decide({ rib, groups }: FamilyState, routes: Map<Prefix, FibEntry>): Uint32Array {
    return rib.decideDirty(
      decideStep,
      (stored, prefixId) => this.forwarding.judge(rib, prefixId, stored),
      (prefixIds, at, decision) => {
        if (this.#programs) {
          for (const prefixId of prefixIds.subarray(at.start, at.end)) {
            const route = this.forwarding.kernelRoute(rib, prefixId, decision);
            routes.set(rib.table.prefixAt(prefixId), fibEntry(route));
          }
        }
        groups.export(prefixIds, at, decision.best);
      },
    );
  }

  /** "next": without the rest that makes batches larger. */
  #askFlush(when: "soon" | "next" = "soon"): void {
    if (this.#flushAsked === "next" || this.#flushAsked === when) return;
    if (!this.#all().some(({ rib, groups }) => rib.isDirty || groups.hasWork)) return;
    this.#flushAsked = when;
    this.#effects.push({ kind: "flushSoon", ...(when === "next" ? { continues: true } : {}) });
  }

  #eachFamily(name: string, visit: (family: FamilyState, state: PeerState) => void): void {
    const state = this.peers.get(name);
    if (state === undefined) return;
    for (const family of this.#all()) visit(family, state);
  }

  #all(): readonly FamilyState[] {
    return [this.families[4], this.families[6]];
  }
}

/** By the kernel's route, or the reason why it gets none of us. */
function fibEntry(route: KernelRoute | string): FibEntry {
  if (typeof route !== "string") return route;
  return isFelixs(route) ? "handedOver" : undefined;
}

/** The names of the peers that may tell something. */
function expected(peers: readonly SpeakerPeer[]): readonly string[] {
  return peers.flatMap(({ config }) => (config.shutdown === undefined ? config.name : []));
}
