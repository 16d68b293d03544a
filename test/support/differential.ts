import assert from "node:assert/strict";
import fc from "fast-check";
import { stringify } from "yaml";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import type { WorkloadEndpoint } from "../../src/api/resources/workload-endpoint.ts";
import { type IpAddr, ipFamily } from "../../src/lib/ip-addr.ts";
import { policyCluster } from "../../src/policy/cluster.ts";
import { PolicyModel } from "../../src/policy/model.ts";
import type { Packet } from "../../src/policy/packet.ts";
import { type Check, type Decision, decisionText } from "../../src/policy/verdict.ts";
import { arbitraryCase, type Case, fixed } from "./arbitrary-cluster/arbitrary-case.ts";
import { packetsOf } from "./arbitrary-cluster/packets.ts";
import type { RuleInterpreter } from "./iptables/interpreter.ts";
import { nodeRules } from "./iptables/node-rules.ts";
import type { HookPacket } from "./iptables/rule-text.ts";

/** A packet of which the model and the rendered rules say different things. */
export interface Difference {
  readonly packet: Packet;
  readonly model: string;
  readonly rules: string;
}

/** What a run of random cases gave. */
export interface Run {
  readonly clusters: number;
  readonly packets: number;
  /** How often each kind of decision decided, so that nobody tests the ends of tiers only. */
  readonly decisions: ReadonlyMap<string, number>;
  /** The smallest case found on which the two disagree, as a manifest. */
  readonly counterexample?: string;
}

/** Tries random clusters until one tells a difference. */
export async function compare(options: {
  readonly clusters: number;
  readonly packets: number;
  readonly seed?: number;
  /** Without shrinking a counterexample comes at once, and is large. */
  readonly shrink?: boolean;
  readonly change?: (text: string) => string;
}): Promise<Run> {
  const { clusters, packets, seed, shrink = true, change } = options;
  const decisions = new Map<string, number>();
  let packetCount = 0;
  const property = fc.asyncProperty(arbitraryCase(packetsOf(packets)), async (given) => {
    const found = await differences(given, {
      decisions,
      ...(change === undefined ? {} : { change }),
    });
    packetCount += given.packets.length;
    assert.deepEqual(found, []);
  });
  const result = await fc.check(property, {
    numRuns: clusters,
    endOnFailure: !shrink,
    ...(seed === undefined ? {} : { seed }),
  });
  const run = { clusters: result.numRuns, packets: packetCount, decisions };
  if (!result.failed) return run;
  const [smallest] = result.counterexample ?? [];
  const text = await manifest(smallest, change).catch((cause: unknown) => {
    throw new Error(`Cannot judge a case of seed ${result.seed}`, { cause });
  });
  const counterexample = `${text}# seed ${result.seed}\n`;
  return { ...run, counterexample };
}

/** The case, without what every case has, and what is said of it. */
async function manifest(
  given: Case | undefined,
  change: ((text: string) => string) | undefined,
): Promise<string> {
  if (given === undefined) return "";
  const drawn = given.resources.filter((resource) => !fixed.includes(resource));
  const found = await differences(given, change === undefined ? {} : { change });
  return [...drawn, ...found].map((one) => stringify(one)).join("---\n");
}

/**
 * Holds the model against calculation graph, renderer and interpreter, for every packet of the case:
 * from node to node, as the packet goes. `change` falsifies the rendered text.
 */
export async function differences(
  { resources, packets }: Case,
  options: {
    readonly change?: (text: string) => string;
    readonly decisions?: Map<string, number>;
  } = {},
): Promise<Difference[]> {
  const model = new PolicyModel(policyCluster(resources));
  const rules: RulesOfNodes = new Map();
  for (const family of new Set(packets.map(({ source }) => ipFamily(source)))) {
    for (const { kind, metadata } of resources) {
      if (kind !== "Node") continue;
      const written = await nodeRules(metadata.name, resources, family, options.change);
      rules.set(`${metadata.name} ${family}`, written);
    }
  }
  return packets.flatMap((packet) => {
    const { allowed, decision, checks } = model.judge(packet);
    for (const kind of kindsOf(decision, checks)) {
      options.decisions?.set(kind, (options.decisions.get(kind) ?? 0) + 1);
    }
    const [accepted, by] = fateOf(packet, resources, rules);
    if (accepted === allowed) return [];
    const says = (verdict: boolean, why: string) => `${verdict ? "allowed" : "denied"}: ${why}`;
    return [{ packet, model: says(allowed, decisionText(decision)), rules: says(accepted, by) }];
  });
}

/** What decided, and at which of the host endpoints' places something did. */
function kindsOf(decision: Decision, checks: readonly Check[]): string[] {
  const places = checks
    .filter(({ endpoint, outcome }) => endpoint.kind === "HostEndpoint" && outcome !== "continue")
    .map(({ stage, outcome, direction }) => `host ${stage} ${direction} ${outcome}`);
  return [decision.kind, ...new Set(places)];
}

/** By node and family. */
type RulesOfNodes = Map<string, RuleInterpreter>;

/** Where the packet comes from or goes to: a pod's interface, a node itself, or the world. */
export interface End {
  readonly node?: string;
  readonly interfaceName?: string;
}

function fateOf(
  packet: Packet,
  resources: readonly AnyResource[],
  rules: RulesOfNodes,
): readonly [accepted: boolean, by: string] {
  const source = endOf(packet.source, resources);
  const destination = endOf(packet.destination, resources);
  for (const node of new Set([source.node, destination.node])) {
    const interpreter = rules.get(`${node} ${ipFamily(packet.source)}`);
    if (interpreter === undefined) continue;
    const from = source.node === node ? source.interfaceName : "eth0";
    const to = destination.node === node ? destination.interfaceName : "eth0";
    const way = from === undefined ? "output" : to === undefined ? "input" : "forward";
    if (from === undefined && to === undefined) continue;
    const fate = interpreter.send(way, hookPacket(packet, from, to));
    if (!fate.accepted) return [false, `${node} ${fate.by}`];
  }
  return [true, "no rule drops it"];
}

function hookPacket(packet: Packet, from: string | undefined, to: string | undefined): HookPacket {
  return {
    ...packet,
    ...(from === undefined ? { localSource: true } : { in: from }),
    ...(to === undefined ? { localDestination: true } : { out: to }),
  };
}

export function endOf(address: IpAddr, resources: readonly AnyResource[]): End {
  const has = ({ spec }: WorkloadEndpoint) =>
    spec.ipNetworks?.some((net) => net.split("/")[0] === address) === true;
  for (const resource of resources) {
    if (resource.kind === "WorkloadEndpoint" && has(resource)) {
      return { node: resource.spec.node, interfaceName: resource.spec.interfaceName };
    }
    const own = resource.kind === "Node" ? resource.spec.bgp?.ipv4Address : undefined;
    if (own?.split("/")[0] === address) return { node: resource.metadata.name };
  }
  return {};
}
