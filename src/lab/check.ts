import { setTimeout as delay } from "node:timers/promises";
import type { Datastore } from "../datastore/datastore.ts";
import { type IpAddr, ipFamily, parseIpAddr } from "../lib/ip-addr.ts";
import { PolicyModel } from "../policy/model.ts";
import { type Packet, pingPacket } from "../policy/packet.ts";
import { protocolNumber } from "../policy/protocols.ts";
import { decisionText } from "../policy/verdict.ts";
import { type ClusterView, nodeAddress, nodeSourceAddress, readCluster } from "./cluster-view.ts";
import type { LabPlan } from "./lab-plan.ts";
import type { LabPod } from "./lab-state.ts";
import { ProbeAgent, type ProbeProtocol } from "./probe.ts";

/** One row of the matrix: what should happen, and what did. */
export interface CheckedFlow {
  /** "node1" or "node1/pod1" (with its Kubernetes namespace when that is not default). */
  readonly from: string;
  readonly to: string;
  /** The pod's address that was probed. */
  readonly address: IpAddr;
  readonly protocol: ProbeProtocol;
  readonly port: number;
  readonly expected: boolean;
  readonly because: string;
  readonly reached: boolean;
  /** Source address that the destination saw. */
  readonly seenAs?: string;
}

export interface CheckReport {
  readonly flows: readonly CheckedFlow[];
  readonly mismatches: readonly CheckedFlow[];
}

interface Prober {
  readonly name: string;
  readonly netns: string;
  readonly node: string;
  readonly addresses: readonly IpAddr[];
  readonly pod?: LabPod;
}

interface Flow {
  readonly from: Prober;
  readonly to: Prober & { readonly pod: LabPod };
  readonly address: IpAddr;
  readonly protocol: ProbeProtocol;
  readonly port: number;
}

/** Every pod listens here while it is checked, on TCP and UDP. */
const commonPort = 80;
const probeTimeoutMs = 1000;
/** A change that is still on its way to the kernel gets this many tries to arrive. */
const attempts = 4;

/**
 * Probes every address of every pod from every pod and every node that has an address of its family,
 * over ICMP, TCP and UDP, and compares with what the policies in the datastore say (architecture
 * section 6).
 */
export async function checkLab(
  lab: { readonly plan: LabPlan; readonly pods: readonly LabPod[] },
  datastore: Datastore,
): Promise<CheckReport> {
  const view = await readCluster(datastore);
  const probers = probersOf(lab, view);
  const model = new PolicyModel(view);
  const agents = new Map(probers.map(({ netns }) => [netns, new ProbeAgent(netns)]));
  try {
    await openListeners(probers, agents);
    const flows = await Promise.all(
      flowsOf(probers).map((flow) => checkFlow(flow, { view, model }, agents.get(flow.from.netns))),
    );
    return { flows, mismatches: flows.filter(({ expected, reached }) => expected !== reached) };
  } finally {
    for (const agent of agents.values()) agent.close();
  }
}

/** Pod names as the user addresses them: "node1/pod1", "node1/shop/pod1". */
export function podLabel(pod: LabPod): string {
  return pod.namespace === "default"
    ? `${pod.node}/${pod.name}`
    : `${pod.node}/${pod.namespace}/${pod.name}`;
}

function probersOf(
  lab: { readonly plan: LabPlan; readonly pods: readonly LabPod[] },
  view: ClusterView,
): Prober[] {
  const addressesOf = (node: string) =>
    lab.plan.families.flatMap((family) => nodeAddress(view, node, family) ?? []);
  return [
    ...lab.plan.nodes.map(({ name, netns }) => ({
      name,
      netns,
      node: name,
      addresses: addressesOf(name),
    })),
    ...lab.pods.map((pod) => ({
      name: podLabel(pod),
      netns: pod.netns,
      node: pod.node,
      addresses: pod.addresses.map(parseIpAddr),
      pod,
    })),
  ];
}

async function openListeners(
  probers: readonly Prober[],
  agents: ReadonlyMap<string, ProbeAgent>,
): Promise<void> {
  await Promise.all(
    probers.map(async ({ netns, name, pod }) => {
      if (pod === undefined) return;
      const ports = portsOf(pod).filter((port) => port.protocol !== "ICMP") as {
        port: number;
        protocol: "TCP" | "UDP";
      }[];
      const answer = await agents.get(netns)?.ask({ op: "listen", ports });
      if (answer?.ok !== true) throw new Error(`Cannot listen in ${name}: ${answer?.error}`);
    }),
  );
}

function portsOf(pod: LabPod): { port: number; protocol: ProbeProtocol }[] {
  const common = [
    { port: 0, protocol: "ICMP" as const },
    { port: commonPort, protocol: "TCP" as const },
    { port: commonPort, protocol: "UDP" as const },
  ];
  const declared = pod.ports.filter(
    (port) => !common.some((c) => c.port === port.port && c.protocol === port.protocol),
  );
  return [...common, ...declared.map(({ port, protocol }) => ({ port, protocol }))];
}

function flowsOf(probers: readonly Prober[]): Flow[] {
  const targets = probers.filter(
    (prober): prober is Prober & { pod: LabPod } => prober.pod !== undefined,
  );
  return probers.flatMap((from) =>
    targets
      .filter((to) => to !== from)
      .flatMap((to) =>
        addressesFor(from, to.pod).flatMap((address) =>
          portsOf(to.pod).map((port) => ({ from, to, address, ...port })),
        ),
      ),
  );
}

/** Addresses of a pod that the prober could speak to. */
function addressesFor(from: Prober, { addresses }: LabPod): IpAddr[] {
  const families = new Set(from.addresses.map(ipFamily));
  return addresses.map(parseIpAddr).filter((address) => families.has(ipFamily(address)));
}

async function checkFlow(
  flow: Flow,
  known: Known,
  agent: ProbeAgent | undefined,
): Promise<CheckedFlow> {
  const { from, to, address, protocol, port } = flow;
  const { allowed: expected, because } = expectedVerdict(flow, known);
  let answer = { ok: false } as { ok: boolean; seenAs?: string };
  for (let attempt = 0; attempt < attempts; attempt++) {
    if (attempt > 0) await delay(250 * attempt);
    const target = { protocol, address, port };
    answer = (await agent?.ask({ op: "probe", timeoutMs: probeTimeoutMs, ...target })) ?? answer;
    if (answer.ok === expected) break;
  }
  return {
    from: from.name,
    to: to.name,
    address,
    protocol,
    port,
    expected,
    because,
    reached: answer.ok,
    ...(answer.seenAs === undefined ? {} : { seenAs: answer.seenAs }),
  };
}

/** What the datastore says, and what follows from it. */
interface Known {
  readonly view: ClusterView;
  readonly model: PolicyModel;
}

function expectedVerdict(
  { from, to, address: destination, protocol, port }: Flow,
  { view, model }: Known,
): { readonly allowed: boolean; readonly because: string } {
  if (model.population.workloadAt(destination) === undefined) {
    return { allowed: false, because: "the pod has no endpoint" };
  }
  if (from.pod === undefined && from.node === to.node) {
    return { allowed: true, because: decisionText({ kind: "own node" }) };
  }
  if (from.node !== to.node) {
    const family = ipFamily(destination);
    const without = [from.node, to.node].find(
      (node) => nodeAddress(view, node, family) === undefined,
    );
    if (without !== undefined) {
      return { allowed: false, because: `${without} has no IPv${family} address` };
    }
  }
  const source = sourceOf(from, view, { node: to.node, address: destination });
  if (source === undefined) return { allowed: false, because: "the source has no address" };
  const packet: Packet =
    protocol === "ICMP"
      ? pingPacket(source, destination)
      : { source, destination, protocol: protocolNumber(protocol) ?? 0, destinationPort: port };
  const { allowed, decision } = model.judge(packet);
  return { allowed, because: decisionText(decision) };
}

function sourceOf(
  from: Prober,
  view: ClusterView,
  target: { readonly node: string; readonly address: IpAddr },
): IpAddr | undefined {
  if (from.pod === undefined) return nodeSourceAddress(view, from.node, target);
  return from.addresses.find((address) => ipFamily(address) === ipFamily(target.address));
}
