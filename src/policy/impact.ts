import { keyOf, keyText } from "../api/resource-key.ts";
import type { AnyResource } from "../api/resource-of-kind.ts";
import type { Rule } from "../api/resources/rule.ts";
import { groupBy } from "../lib/collections.ts";
import { type IpAddr, ipFamily, parseIpAddr } from "../lib/ip-addr.ts";
import { isHostPrefix, type Prefix, prefixAddress, prefixHasAddress } from "../lib/prefix.ts";
import { type PolicyCluster, policyCluster } from "./cluster.ts";
import { type FlowEnd, type FlowPort, flowPacket, flowPort, podName } from "./flow.ts";
import { PolicyModel } from "./model.ts";
import { type Labelled, networkOf } from "./population.ts";
import { protocolName, protocolNumber } from "./protocols.ts";
import { decisionText } from "./verdict.ts";

/** A connection of which two clusters say different things. */
export interface ChangedFlow {
  readonly from: string;
  readonly to: string;
  readonly port: string;
  readonly before: { readonly allowed: boolean; readonly because: string };
  readonly after: { readonly allowed: boolean; readonly because: string };
}

/** The resources with `changes` put in the place of those of the same kind and name. */
export function withChanges(
  resources: readonly AnyResource[],
  changes: readonly AnyResource[],
): AnyResource[] {
  const all = new Map(resources.map((one) => [keyText(keyOf(one)), one]));
  for (const change of changes) all.set(keyText(keyOf(change)), change);
  return [...all.values()];
}

/** An address of nobody: what comes from it comes from the world. */
const outside: FlowEnd = {
  name: "outside",
  addresses: [parseIpAddr("198.51.100.1"), parseIpAddr("2001:db8::1")],
};

/**
 * The connections between pods, and between pods and the world, that another verdict meets after the
 * changes: for the ports `only`, or every port that a rule or a pod names, one that hardly any names, and
 * ping. Pods that no rule can tell apart are judged once.
 */
export function* impact(
  before: readonly AnyResource[],
  after: readonly AnyResource[],
  only: readonly FlowPort[] = [],
): Generator<ChangedFlow> {
  const clusters = [policyCluster(before), policyCluster(after)] as const;
  const models = clusters.map((cluster) => new PolicyModel(cluster));
  const [old, young] = models;
  if (old === undefined || young === undefined) return;
  const ports = only.length > 0 ? only : portsOf(clusters);
  const classes = classesOf(clusters, models);
  for (const from of classes) {
    for (const to of classes) {
      if (from.outside && to.outside) continue;
      for (const port of ports) yield* changedFlows({ from, to, port }, old, young);
    }
  }
}

/** Ends that no rule tells apart: the first stands for all. */
interface EndClass {
  readonly ends: readonly FlowEnd[];
  readonly outside: boolean;
}

function* changedFlows(
  { from, to, port }: { from: EndClass; to: EndClass; port: FlowPort },
  old: PolicyModel,
  young: PolicyModel,
): Generator<ChangedFlow> {
  const ofClass = from === to ? pairWithin(from.ends) : [from.ends[0], to.ends[0]];
  const [one, other] = ofClass;
  if (one === undefined || other === undefined || !haveFamily(one, other)) return;
  const packet = flowPacket(one, other, port);
  const [before, after] = [old, young].map((model) => {
    const { allowed, decision } = model.judge(packet);
    return { allowed, because: decisionText(decision) };
  });
  if (before === undefined || after === undefined || before.allowed === after.allowed) return;
  for (const source of from.ends) {
    for (const destination of to.ends) {
      if (source === destination) continue;
      yield { from: source.name, to: destination.name, port: port.name, before, after };
    }
  }
}

function pairWithin(ends: readonly FlowEnd[]): readonly (FlowEnd | undefined)[] {
  return [ends[0], ends[1]];
}

function haveFamily(a: FlowEnd, b: FlowEnd): boolean {
  return a.addresses.some((one) => b.addresses.some((two) => ipFamily(one) === ipFamily(two)));
}

/** Pods in classes by all that rules look at: labels, ports, families, and nets that hold the address. */
function classesOf(
  clusters: readonly PolicyCluster[],
  models: readonly PolicyModel[],
): readonly EndClass[] {
  const nets = new Set(clusters.flatMap(netsOf));
  const ends = models.flatMap(({ population }) =>
    population.all.filter(({ resource }) => resource.kind === "WorkloadEndpoint"),
  );
  const byName = groupBy(ends, ({ resource }) =>
    resource.kind === "WorkloadEndpoint" ? podName(resource) : "",
  );
  const groups = groupBy(byName, ([, versions]) => classKey(versions, nets));
  const classes = [...groups.values()].map((members) => ({
    ends: members.flatMap(([name, [first]]) =>
      first === undefined ? [] : [{ name, addresses: addressesOf(first) }],
    ),
    outside: false,
  }));
  return [
    ...classes.filter(({ ends: [first] }) => (first?.addresses.length ?? 0) > 0),
    { ends: [outside], outside: true },
  ];
}

function classKey(versions: readonly Labelled[], nets: ReadonlySet<Prefix>): string {
  return JSON.stringify(
    versions.map((one) => {
      const addresses = addressesOf(one);
      const holding = [...nets].filter((net) =>
        addresses.some((address) => prefixHasAddress(net, address)),
      );
      const { resource } = one;
      const node = resource.kind === "WorkloadEndpoint" ? resource.spec.node : "";
      const profiles = resource.kind === "WorkloadEndpoint" ? resource.spec.profiles : [];
      return [[...one.labels], one.ports, holding, addresses.map(ipFamily), node, profiles];
    }),
  );
}

function addressesOf({ nets }: Labelled): IpAddr[] {
  return nets.filter(isHostPrefix).map(prefixAddress);
}

/** Nets of rules, of network sets and of services. */
function netsOf(cluster: PolicyCluster): Prefix[] {
  return [
    ...rulesOf(cluster).flatMap(({ source = {}, destination = {} }) =>
      [source, destination].flatMap(({ nets = [], notNets = [] }) =>
        [...nets, ...notNets].map(networkOf),
      ),
    ),
    ...cluster.networkSets.flatMap(({ spec }) => (spec.nets ?? []).map(networkOf)),
    ...cluster.endpointSlices.flatMap(({ endpoints = [] }) =>
      endpoints.flatMap(({ addresses = [] }) => addresses.map(networkOf)),
    ),
  ];
}

export function rulesOf({ policies, profiles }: PolicyCluster): Rule[] {
  return [...policies, ...profiles].flatMap(({ spec }) => [
    ...(spec.ingress ?? []),
    ...(spec.egress ?? []),
  ]);
}

const portProtocols = ["tcp", "udp", "sctp"];
/** A port that hardly anybody names. */
const otherPort = 47_111;

/** Ping, and every port that a pod or rule names, under TCP, UDP or what the rule says. */
function portsOf(clusters: readonly PolicyCluster[]): FlowPort[] {
  const names = new Set(["icmp", `${otherPort}/tcp`, `${otherPort}/udp`]);
  for (const cluster of clusters) {
    for (const { spec } of cluster.endpoints) {
      for (const { port, protocol } of spec.ports ?? []) {
        names.add(`${port}/${protocolName(protocolNumber(protocol) ?? 6)}`);
      }
    }
    for (const rule of rulesOf(cluster)) {
      const protocol = protocolName(protocolNumber(rule.protocol ?? "tcp") ?? 6);
      const { ports = [], notPorts = [] } = rule.destination ?? {};
      for (const port of [...ports, ...notPorts]) {
        if (!/^\d+(:\d+)?$/.test(String(port)) || !portProtocols.includes(protocol)) continue;
        for (const end of String(port).split(":")) names.add(`${end}/${protocol}`);
      }
    }
  }
  return [...names].map(flowPort);
}
