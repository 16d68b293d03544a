import type { HostEndpoint } from "../api/resources/host-endpoint.ts";
import type { WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import type { IpAddr } from "../lib/ip-addr.ts";
import type { PolicyCluster } from "./cluster.ts";
import { describe, EndpointChecker, nobody } from "./endpoint-check.ts";
import { Hosts, isFailsafe, isFailsafeAnswer } from "./hosts.ts";
import type { Packet } from "./packet.ts";
import { type Labelled, Population } from "./population.ts";
import type { AppliedTier } from "./tiers.ts";
import { type Crossing, Tunnels } from "./tunnels.ts";
import type { Check, Decision, Direction, Stage, Verdict } from "./verdict.ts";

/**
 * What policy does to a packet, straight from the meaning of the resources (facts 2.5, 2.6, 4.2, 4.11).
 * Written apart from felix's calculation graph and renderer, and simpler: what both say is compared for
 * random clusters (test/unit/policy/differential.test.ts), and by `tortie lab check` with real packets.
 *
 * It speaks of the first packet of a connection: what belongs to an established one goes through. Each
 * end is known by its address; an address that is no pod's and no node's is outside.
 */
export class PolicyModel {
  readonly population: Population;
  readonly #cluster: PolicyCluster;
  readonly #checker: EndpointChecker;
  readonly #hosts: Hosts;
  readonly #tunnels: Tunnels;

  constructor(cluster: PolicyCluster) {
    this.#cluster = cluster;
    this.#hosts = new Hosts(cluster);
    this.#tunnels = new Tunnels(cluster);
    this.population = new Population(cluster);
    this.#checker = new EndpointChecker(cluster, this.population);
  }

  /** The verdict, with the way to it. */
  judge(packet: Packet): Verdict {
    const way = new Way(this.#checker, packet);
    const decision = this.#follow(packet, way);
    const decided = way.denied?.decision ?? decision ?? way.checks.at(-1)?.decision ?? nobody;
    const refused = decision !== undefined && !lets(decision);
    return {
      allowed: way.denied === undefined && !refused,
      decision: decided,
      checks: way.checks,
      notes: way.notes,
    };
  }

  /** Policies of an endpoint in the order in which they are asked. */
  tiersOf(endpoint: Labelled, direction: Direction, stage: Stage): readonly AppliedTier[] {
    return this.#checker.tiersOf(endpoint, direction, stage);
  }

  /** Asks everybody whom the packet meets. What decided, when it was no policy. */
  #follow(packet: Packet, way: Way): Decision | undefined {
    const source = this.#end(packet.source);
    const destination = this.#end(packet.destination);
    const isLocal = source.node !== undefined && source.node === destination.node;
    if (source.workload !== undefined) {
      const toOwnHost = isLocal && destination.workload === undefined;
      if (!this.#enterFromPod(source.node, toOwnHost ? [] : ["forward"], way)) return undefined;
      if (this.#isEncapsulated(packet)) return { kind: "encapsulated" };
      if (way.ask(source.workload, "Egress", "normal") === "deny") return undefined;
      if (toOwnHost)
        return { kind: "endpoint to host", action: this.#cluster.settings.endpointToHost };
    } else if (isLocal) return destination.workload === undefined ? nobody : { kind: "own node" };
    const crossing = crossingOf(source, destination);
    if (!isLocal && !this.#leave(this.#leg(source, crossing), way)) return undefined;
    if (!isLocal && !this.#arrive(this.#leg(destination, crossing), way)) return undefined;
    if (destination.workload === undefined) return undefined;
    if (way.ask(destination.workload, "Ingress", "normal") === "deny") return undefined;
    this.#leaveToPod(destination.node, way);
    return undefined;
  }

  /** The host endpoint of all interfaces has those of pods, too, for what is forwarded or before DNAT. */
  #enterFromPod(node: string | undefined, last: readonly Stage[], way: Way): boolean {
    const hep = this.#ofAllInterfaces(node);
    return hep === undefined || this.#enter(hep, ["preDNAT", ...last], way);
  }

  #leaveToPod(node: string | undefined, way: Way): void {
    const hep = this.#ofAllInterfaces(node);
    if (hep !== undefined) way.ask(hep, "Egress", "forward");
  }

  #ofAllInterfaces(node: string | undefined): Labelled | undefined {
    const found = node === undefined ? undefined : this.#hosts.ofAllInterfaces(node);
    return found === undefined ? undefined : this.population.of(found);
  }

  #end(address: IpAddr): End {
    const workload = this.population.workloadAt(address);
    if (workload === undefined) return { node: this.#hosts.nodeAt(address), address };
    const { node } = (workload.resource as WorkloadEndpoint).spec;
    return { node, workload, address };
  }

  /** What passes through a host takes a tunnel, or an interface of which the address is not known. */
  #leg({ node, workload, address }: End, crossing: Crossing | undefined): Leg {
    if (workload === undefined) return { node, workload, address };
    if (node === undefined || crossing === undefined) return { node, workload, address: undefined };
    return { node, workload, address: this.#tunnels.deviceAddress(node, crossing) };
  }

  #isEncapsulated({ protocol, destinationPort }: Packet): boolean {
    const { vxlanFromWorkloads, ipipFromWorkloads, vxlanPort } = this.#cluster.settings;
    if (protocol === 4) return !ipipFromWorkloads;
    return protocol === 17 && destinationPort === vxlanPort && !vxlanFromWorkloads;
  }

  /** Past the host endpoint by which it leaves a node. False: denied. */
  #leave({ node, workload, address }: Leg, way: Way): boolean {
    const hep = this.#hostEndpoint(node, address, way);
    if (hep === undefined) return true;
    if (workload !== undefined) return way.ask(hep, "Egress", "forward") !== "deny";
    if (isFailsafe(way.packet, "Egress", this.#cluster.settings)) {
      way.pass(hep, "Egress");
      return true;
    }
    const untracked = isFailsafeAnswer(way.packet, "Egress", this.#cluster.settings)
      ? "continue"
      : way.ask(hep, "Egress", "untracked");
    return untracked === "continue"
      ? way.ask(hep, "Egress", "normal") !== "deny"
      : untracked === "allow";
  }

  /** Past the host endpoint by which it enters a node. */
  #arrive({ node, workload, address }: Leg, way: Way): boolean {
    const hep = this.#hostEndpoint(node, address, way);
    if (hep === undefined) return true;
    const last = workload === undefined ? "normal" : "forward";
    return this.#enter(hep, ["untracked", "preDNAT", last], way);
  }

  /** What one stage allows, no later one is asked. */
  #enter(hep: Labelled, stages: readonly Stage[], way: Way): boolean {
    const { settings } = this.#cluster;
    const failsafe = isFailsafe(way.packet, "Ingress", settings);
    // Failsafe ports are the host's own: what passes through meets the forward policies.
    const early = failsafe || isFailsafeAnswer(way.packet, "Ingress", settings);
    for (const stage of stages) {
      if (stage === "normal" && failsafe) {
        way.pass(hep, "Ingress");
        return true;
      }
      if (early && (stage === "untracked" || stage === "preDNAT")) continue;
      const asked = stage === "preDNAT" ? this.#beforeDnat(hep) : hep;
      const outcome = way.ask(asked, "Ingress", stage);
      if (outcome !== "continue") return outcome === "allow";
    }
    return true;
  }

  /** Where the interface's own has no policy before DNAT, that of all interfaces is asked, as Calico does. */
  #beforeDnat(hep: Labelled): Labelled {
    if (this.#checker.tiersOf(hep, "Ingress", "preDNAT").length > 0) return hep;
    return this.#ofAllInterfaces((hep.resource as HostEndpoint).spec.node) ?? hep;
  }

  #hostEndpoint(
    node: string | undefined,
    address: IpAddr | undefined,
    way: Way,
  ): Labelled | undefined {
    if (node === undefined) return undefined;
    const { found, undecided } = this.#hosts.endpointAt(node, address);
    if (undecided.length > 0) way.notes.push(undecidedNote(node, undecided));
    return found === undefined ? undefined : this.population.of(found);
  }
}

/** One end of a packet. */
interface End {
  readonly address: IpAddr;
  /** Whose host it is, or on which the pod runs. */
  readonly node: string | undefined;
  readonly workload?: Labelled;
}

/** An end as its host sees it: with the address of the interface by which the packet leaves or enters. */
interface Leg {
  readonly node: string | undefined;
  readonly workload: Labelled | undefined;
  /** Undefined: one of the host's own. */
  readonly address: IpAddr | undefined;
}

function crossingOf({ node: from }: End, { node: to, address }: End): Crossing | undefined {
  return from === undefined || to === undefined ? undefined : { from, to, destination: address };
}

/** Those whom the packet has met. */
class Way {
  readonly checks: Check[] = [];
  readonly notes: string[] = [];
  readonly packet: Packet;
  readonly #checker: EndpointChecker;

  constructor(checker: EndpointChecker, packet: Packet) {
    this.#checker = checker;
    this.packet = packet;
  }

  get denied(): Check | undefined {
    return this.checks.find(({ outcome }) => outcome === "deny");
  }

  /** Untracked policies of a host endpoint of all interfaces are not applied. */
  ask(endpoint: Labelled, direction: Direction, stage: Stage): Check["outcome"] {
    if (stage === "untracked" && isOfAllInterfaces(endpoint)) return "continue";
    const check = this.#checker.check({ endpoint, direction, stage, packet: this.packet });
    this.checks.push(check);
    return check.outcome;
  }

  /** The host's failsafe ports let it through before any policy is asked. */
  pass(endpoint: Labelled, direction: Direction): void {
    this.checks.push({
      ...describe({ endpoint, direction, stage: "normal" }),
      tiers: [],
      profiles: [],
      outcome: "allow",
      decision: { kind: "failsafe port", direction },
    });
  }
}

function isOfAllInterfaces({ resource }: Labelled): boolean {
  return resource.kind === "HostEndpoint" && resource.spec.interfaceName === "*";
}

function lets(decision: Decision): boolean {
  if (decision.kind === "endpoint to host") return decision.action !== "DROP";
  return decision.kind !== "encapsulated";
}

function undecidedNote(node: string, endpoints: readonly HostEndpoint[]): string {
  const names = endpoints.map(({ metadata }) => metadata.name).join(", ");
  return `node ${node}: which interface the packet takes is not known: not asked: HostEndpoint ${names}`;
}
