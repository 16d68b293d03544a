import { type ElectionSettings, renewedLease } from "../../../../src/api/elected-reflectors.ts";
import type { Lease } from "../../../../src/api/resources/kubernetes.ts";
import { ElectionMemory } from "../../../../src/controllers/reflectors/election-memory.ts";
import {
  type ElectionAction,
  type ElectionPlan,
  electionPlan,
} from "../../../../src/controllers/reflectors/election-plan.ts";
import type {
  ElectionNode,
  ElectionView,
  MeshState,
} from "../../../../src/controllers/reflectors/election-view.ts";
import type { Asn } from "../../../../src/lib/asn.ts";
import type { Millis } from "../../../../src/lib/clock.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";

interface WorldNode {
  readonly name: string;
  readonly zone: string;
  readonly address: string;
  isAlive: boolean;
  /** When it came, came back or went. */
  since: number;
  isDrained: boolean;
  isElected: boolean;
}

interface Session {
  role: "none" | "mesh" | "reflected";
  isUp: boolean;
  /** Both ends keep each other's routes until then (RFC 4724). */
  heldUntil: number;
  comesUpAt: number;
}

interface Told {
  lease: Lease;
  text: string;
  at: number;
}

const restartSeconds = 120;
const heartbeatSeconds = 40;

/**
 * A cluster that does what the controllers ask of it, in steps of a second: sessions take their time, nodes tell of them
 * with delay. Sessions that nothing asks for end at once, which is worse than what nodes do.
 */
export class World {
  now: number = 0;
  mesh: MeshState = "on";
  peer: ElectionView["peer"] = "absent";
  settings: ElectionSettings | undefined;
  readonly nodes: Map<string, WorldNode> = new Map();
  /** Pairs that cannot speak. */
  readonly cuts: Set<string> = new Set();
  plan: ElectionPlan = { phase: "off", reason: "", actions: [] };
  readonly #sessions = new Map<string, Session>();
  readonly #told = new Map<string, Told>();
  readonly #knowsDead: boolean;
  readonly #random: () => number;
  #memory = new ElectionMemory(0 as Millis);
  #version = 0;
  #number = 0;

  /** `knowsDead`: somebody tells which nodes are down, as Kubernetes does. */
  constructor(random: () => number, { knowsDead }: { readonly knowsDead: boolean }) {
    this.#random = random;
    this.#knowsDead = knowsDead;
  }

  add(zone = ""): string {
    const number = ++this.#number;
    const name = `n${number}`;
    const state = { isAlive: true, since: this.now, isDrained: false, isElected: false };
    this.nodes.set(name, { name, zone, address: `10.0.0.${number}`, ...state });
    this.#configure();
    return name;
  }

  remove(name: string): void {
    this.nodes.delete(name);
    this.#told.delete(name);
    this.#configure();
  }

  setAlive(name: string, isAlive: boolean): void {
    const node = this.node(name);
    if (node.isAlive === isAlive) return;
    Object.assign(node, { isAlive, since: this.now });
    for (const [pair, session] of this.#sessions) {
      if (pair.split(" ").includes(name)) this.#restart(session);
    }
  }

  /** The controller begins anew. */
  restart(): void {
    this.#memory = new ElectionMemory(this.now as Millis);
  }

  node(name: string): WorldNode {
    const node = this.nodes.get(name);
    if (node === undefined) throw new Error(`there is no ${name}`);
    return node;
  }

  elected(): string[] {
    return [...this.nodes.values()].filter(({ isElected }) => isElected).map(({ name }) => name);
  }

  pass(seconds: number): void {
    for (let i = 0; i < seconds; i++) {
      this.now++;
      for (const [pair, session] of this.#sessions) {
        if (session.isUp || session.role === "none" || this.now < session.comesUpAt) continue;
        const ends = pair.split(" ").map((name) => this.nodes.get(name)?.isAlive === true);
        session.isUp = ends.every((isAlive) => isAlive) && !this.cuts.has(pair);
      }
      for (const node of this.nodes.values()) this.#tell(node);
    }
  }

  cut(a: string, b: string): void {
    const pair = pairOf(a, b);
    this.cuts.add(pair);
    const session = this.#sessions.get(pair);
    if (session !== undefined) this.#restart(session);
  }

  /** What the controller does at this moment. */
  look(): readonly ElectionAction[] {
    const view = this.#view();
    const ms = (this.now * 1000) as Millis;
    const leases = [...this.#told.values()].map(({ lease }) => lease);
    this.plan = electionPlan(view, this.#memory.observe(view, leases, ms));
    if (this.plan.actions.length > 0) this.#memory.changed(this.plan, view, ms);
    for (const action of this.plan.actions) this.#do(action);
    this.#configure();
    return this.plan.actions;
  }

  /** True when each of two nodes knows the routes of the other. */
  reaches(a: string, b: string): boolean {
    if (this.#linked(a, b)) return true;
    const reflectors = this.elected().filter((name) => this.node(name).isAlive);
    return reflectors.some(
      (first) =>
        this.#linked(a, first) &&
        reflectors.some(
          (last) => (first === last || this.#linked(first, last)) && this.#linked(last, b),
        ),
    );
  }

  /** True when a node has a session with a reflector, or is one. */
  isCovered(name: string): boolean {
    return this.elected().some(
      (each) => each === name || (this.node(each).isAlive && this.#linked(each, name)),
    );
  }

  #linked(a: string, b: string): boolean {
    const session = this.#sessions.get(pairOf(a, b));
    return session !== undefined && (session.isUp || this.now < session.heldUntil);
  }

  #do(action: ElectionAction): void {
    if (action.kind === "writePeer") this.peer = "ours";
    else if (action.kind === "deletePeer") this.peer = "absent";
    else if (action.kind === "meshOff") this.mesh = "off by us";
    else if (action.kind === "meshOn") this.mesh = "on";
    else this.node(action.node).isElected = action.kind === "elect";
  }

  #configure(): void {
    const names = [...this.nodes.keys()];
    const pairs = names.flatMap((a, i) => names.slice(i + 1).map((b) => [a, b] as const));
    const known = new Set(pairs.map(([a, b]) => pairOf(a, b)));
    for (const pair of this.#sessions.keys()) if (!known.has(pair)) this.#sessions.delete(pair);
    for (const [a, b] of pairs) {
      const role = this.#role(this.node(a), this.node(b));
      const pair = pairOf(a, b);
      const session = this.#sessions.get(pair);
      if (session?.role === role) continue;
      if (session === undefined || session.role === "none" || role === "none") {
        const comesUpAt = this.#soon();
        this.#sessions.set(pair, { role, isUp: false, heldUntil: 0, comesUpAt });
      } else {
        session.role = role;
        this.#restart(session);
      }
    }
  }

  #role(a: WorldNode, b: WorldNode): Session["role"] {
    if (a.isElected || b.isElected) return this.peer === "ours" ? "reflected" : "none";
    return this.mesh === "on" ? "mesh" : "none";
  }

  #restart(session: Session): void {
    if (session.isUp) session.heldUntil = this.now + restartSeconds;
    session.isUp = false;
    session.comesUpAt = this.#soon();
  }

  #soon(): number {
    return this.now + 1 + Math.floor(this.#random() * 8);
  }

  #tell({ name, isElected, isAlive }: WorldNode): void {
    if (!isElected) {
      this.#told.delete(name);
      return;
    }
    if (!isAlive) return;
    const others = [...this.nodes.values()].filter((other) => other.name !== name);
    const up = others.filter((other) => this.#sessions.get(pairOf(name, other.name))?.isUp);
    const established = up.map(({ address }) => address);
    const text = established.join();
    const told = this.#told.get(name);
    if (told?.text === text && this.now - told.at < 15) return;
    const lease = renewedLease(name, told?.lease, { established, now: new Date(0) });
    const resourceVersion = String(++this.#version);
    const versioned = { ...lease, metadata: { ...lease.metadata, resourceVersion } };
    this.#told.set(name, { lease: versioned, text, at: this.now });
  }

  #view(): ElectionView {
    const nodes = [...this.nodes.values()].map((node): ElectionNode => {
      const { name, zone, address, isAlive, since, isDrained, isElected } = node;
      const isKnownDead = this.#knowsDead && !isAlive && this.now - since >= heartbeatSeconds;
      return {
        ...{ name, zone, isDrained, isElected, asn: 64512 as Asn },
        addresses: [parseIpAddr(address)],
        clusterId: address,
        mayWork: !isKnownDead,
        isLeaving: isDrained,
        isForeign: false,
      };
    });
    return { settings: this.settings, problem: "", mesh: this.mesh, peer: this.peer, nodes };
  }
}

export function pairOf(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}
