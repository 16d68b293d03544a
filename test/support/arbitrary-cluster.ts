import * as fc from "fast-check";
import { profilesOfNamespace } from "../../src/api/kubernetes/namespace.ts";
import { networkPolicyOf } from "../../src/api/kubernetes/network-policy.ts";
import { calicoApiVersion } from "../../src/api/meta.ts";
import type { AnyResource, Kind } from "../../src/api/resource-of-kind.ts";
import type { EntityRule, Rule } from "../../src/api/resources/rule.ts";
import { decodeResource } from "../../src/api/validate.ts";
import { calcKinds } from "../../src/felix/calc/calc-graph.ts";
import { parseIpAddr } from "../../src/lib/ip-addr.ts";
import type { Packet } from "../../src/policy/packet.ts";

/**
 * Random clusters of two nodes, two namespaces and a few pods, with policies of every form, and packets
 * that have a chance to meet them. Values come from small pools, so that things collide. Every resource
 * is one that validation accepts. Kinds that the calculation graph does not know are left out.
 */
export interface Case {
  readonly resources: readonly AnyResource[];
  readonly packets: readonly Packet[];
}

const supports = (kind: Kind) => calcKinds.includes(kind);

const nodes = ["node-a", "node-b"];
const namespaces = ["red", "blue"];
const podCount = 5;
const v4Of = (index: number) => `10.0.${index % 2}.${index + 1}`;
const v6Of = (index: number) => `fd00::${index % 2}:${index + 1}`;
const outside = ["8.8.8.8", "172.16.1.1", "2001:db8::1"];
const pods = Array.from({ length: podCount }, (_, index) => index);

const nets4 = [
  "10.0.0.0/24",
  "10.0.1.0/24",
  "10.0.0.0/8",
  "10.0.0.1/32",
  "8.8.8.8/32",
  "0.0.0.0/0",
];
const nets6 = ["fd00::/112", "fd00::1:0/112", "fd00::/64", "2001:db8::/32", "::/0"];
const portNumbers = [80, 443, 8080, 5353];
const portNames = ["http", "dns"];

const subset = <T>(
  values: readonly T[],
  options: { minLength?: number; maxLength?: number } = {},
) => fc.subarray([...values], options);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

/** An object without the fields that are undefined. */
function given<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

const labels = fc
  .record({ app: maybe(fc.constantFrom("x", "y")), tier: maybe(fc.constantFrom("x", "z")) })
  .map(given) as fc.Arbitrary<Record<string, string>>;

const term = fc.constantFrom(
  "all()",
  "app == 'x'",
  "app != 'x'",
  "has(tier)",
  "!has(app)",
  "app in {'x', 'y'}",
  "tier not in {'x'}",
  "app starts with 'y'",
  "tier contains 'z'",
);
const selector = fc.oneof(
  { weight: 3, arbitrary: term },
  { weight: 1, arbitrary: fc.tuple(term, term).map(([a, b]) => `${a} && ${b}`) },
  { weight: 1, arbitrary: fc.tuple(term, term).map(([a, b]) => `!(${a} || ${b})`) },
);
const namespaceSelector = fc.constantFrom(
  "all()",
  "global()",
  "color == 'red'",
  "color != 'red'",
  "has(color) && color != 'blue'",
);
const policyNamespaceSelector = fc.constantFrom("all()", "color == 'red'", "color != 'red'");
const accounts = fc.oneof(
  fc.record({ names: fc.constantFrom(["robot"], ["robot", "default"], ["nobody"]) }),
  fc.record({ selector: fc.constantFrom("role == 'machine'", "all()", "role != 'machine'") }),
);

function resource(kind: Kind, name: string, spec: object, metadata: object = {}): AnyResource {
  return decodeResource({
    apiVersion: calicoApiVersion,
    kind,
    metadata: { name, ...metadata },
    spec,
  });
}

const endpointPorts = subset([
  { name: "http", protocol: "TCP", port: 8080 },
  { name: "http", protocol: "TCP", port: 80 },
  { name: "dns", protocol: "UDP", port: 5353 },
  { name: "dns", protocol: "TCP", port: 5353 },
]);

function pod(index: number): fc.Arbitrary<AnyResource> {
  return fc
    .record({
      namespace: fc.constantFrom(...namespaces),
      node: fc.constantFrom(...nodes),
      labels,
      account: maybe(fc.constantFrom("robot", "default")),
      ports: endpointPorts,
      lost: fc.integer({ min: 0, max: 19 }).map((draw) => draw === 19),
    })
    .map(({ namespace, node, labels: own, account, ports, lost }) =>
      resource(
        "WorkloadEndpoint",
        `${node.replace("-", "--")}-k8s-p${index}-eth0`,
        {
          orchestrator: "k8s",
          node,
          pod: `p${index}`,
          endpoint: "eth0",
          ipNetworks: [`${v4Of(index)}/32`, `${v6Of(index)}/128`],
          interfaceName: `cali${index}x`,
          ...(account === undefined ? {} : { serviceAccountName: account }),
          profiles: [
            lost ? "kns.gone" : `kns.${namespace}`,
            ...(account === undefined ? [] : [`ksa.${namespace}.${account}`]),
          ],
          ports,
        },
        {
          namespace,
          labels: {
            ...own,
            "projectcalico.org/namespace": namespace,
            "projectcalico.org/orchestrator": "k8s",
            ...(account === undefined ? {} : { "projectcalico.org/serviceaccount": account }),
          },
        },
      ),
    );
}

type Side = "source" | "destination";

/** One side of a rule, of one family, with ports only where `ports` says. */
function entity(family: 4 | 6, ports: boolean, service: boolean): fc.Arbitrary<EntityRule> {
  const nets = family === 4 ? nets4 : nets6;
  const except = nets.filter((net) => !net.endsWith("/0"));
  const numbers = fc.constantFrom<number | string>(...portNumbers, "8000:9000", "1:100");
  const many = fc.constantFrom([...Array.from({ length: 20 }, (_, i) => 7000 + i), 443]);
  const list = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.array(fc.oneof(numbers, fc.constantFrom(...portNames)), {
        minLength: 1,
        maxLength: 3,
      }),
    },
    { weight: 1, arbitrary: many },
  );
  const withPorts = ports
    ? { ports: sometimes(list, 2), notPorts: sometimes(list, 7) }
    : { ports: fc.constant(undefined), notPorts: fc.constant(undefined) };
  const plain = fc
    .record({
      nets: sometimes(subset(nets, { minLength: 1, maxLength: 3 }), 6),
      notNets: sometimes(subset(except, { minLength: 1, maxLength: 2 }), 8),
      selector: sometimes(selector, 4),
      notSelector: sometimes(selector, 9),
      namespaceSelector: sometimes(namespaceSelector, 7),
      serviceAccounts: sometimes(accounts, 9),
      ...withPorts,
    })
    .map((fields) => given(fields) as EntityRule);
  if (!service || !supports("EndpointSlice")) return plain;
  const services = fc.constantFrom("web", "nothing").map((name) => ({
    services: { name, namespace: "red" },
  }));
  return fc.oneof({ weight: 8, arbitrary: plain }, { weight: 1, arbitrary: services });
}

/** Once in `every` + 1 draws. */
function sometimes<T>(arbitrary: fc.Arbitrary<T>, every = 3): fc.Arbitrary<T | undefined> {
  return fc.oneof({ weight: every, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
}

const action = fc.oneof(
  { weight: 4, arbitrary: fc.constant("Allow") },
  { weight: 3, arbitrary: fc.constant("Deny") },
  { weight: 2, arbitrary: fc.constant("Pass") },
  { weight: 1, arbitrary: fc.constant("Log") },
);
const icmp = fc.constantFrom(
  { type: 8 },
  { type: 8, code: 0 },
  { type: 3, code: 1 },
  { type: 128 },
);

function rule(serviceSide: Side): fc.Arbitrary<Rule> {
  const sides = (family: 4 | 6, ports: boolean) => ({
    source: entity(family, ports, serviceSide === "source" && !ports),
    destination: entity(family, ports, serviceSide === "destination" && !ports),
  });
  const shape = (family: 4 | 6) =>
    fc.oneof(
      fc.record({
        action,
        protocol: fc.constantFrom("TCP", "TCP", "TCP", "UDP", "SCTP", 6),
        ...sides(family, true),
      }),
      fc.record({ action, ...sides(family, false) }),
      // Without a protocol a named port is one of TCP.
      fc.record({ action, destination: fc.record({ ports: subset(portNames, { minLength: 1 }) }) }),
      fc.record({
        action,
        protocol: fc.constant(family === 4 ? "ICMP" : "ICMPv6"),
        icmp: sometimes(icmp, 1),
        notICMP: sometimes(icmp, 2),
        ...sides(family, false),
      }),
      fc.record({
        action,
        protocol: sometimes(fc.constantFrom<string | number>("TCP", "UDP", 1, 132), 2),
        notProtocol: sometimes(fc.constantFrom<string | number>("TCP", "UDP", 58)),
        ipVersion: sometimes(fc.constant(family), 4),
        ...sides(family, false),
      }),
    );
  return fc
    .oneof({ weight: 5, arbitrary: shape(4) }, { weight: 1, arbitrary: shape(6) })
    .map((fields) => given(fields) as unknown as Rule);
}

/** Mostly some, so that more is decided than the ends of tiers. */
function rules(serviceSide: Side): fc.Arbitrary<Rule[]> {
  return fc.array(rule(serviceSide), { maxLength: 4, size: "max" });
}

const policySlots = Array.from({ length: 6 }, (_, index) => index);
const tiers = ["default", "early", "lax", "gone"];

function policySpec(tier: fc.Arbitrary<string>) {
  return {
    tier,
    order: maybe(fc.constantFrom(1, 2, 10.5)),
    selector: sometimes(selector, 3),
    serviceAccountSelector: sometimes(fc.constantFrom("role == 'machine'", "all()"), 9),
    types: sometimes(subset(["Ingress", "Egress"], { minLength: 1 }), 1),
    ingress: rules("source"),
    egress: rules("destination"),
  };
}

function policy(index: number): fc.Arbitrary<AnyResource> {
  const tier = fc.constantFrom(...tiers, "default", "default");
  const global = fc
    .record({
      ...policySpec(tier),
      namespaceSelector: sometimes(policyNamespaceSelector),
    })
    .map((spec) => resource("GlobalNetworkPolicy", `g${index}`, given(spec)));
  const local = fc
    .record({ namespace: fc.constantFrom(...namespaces), spec: fc.record(policySpec(tier)) })
    .map(({ namespace, spec }) =>
      resource("NetworkPolicy", `n${index}`, given(spec), { namespace }),
    );
  return fc.oneof(global, local, kubernetesPolicy(index));
}

const labelSelector = fc.oneof(
  fc.constant({}),
  fc.record({ matchLabels: labels }),
  fc.constantFrom(
    { matchExpressions: [{ key: "app", operator: "In", values: ["x", "y"] }] },
    { matchExpressions: [{ key: "tier", operator: "DoesNotExist" }] },
    { matchExpressions: [{ key: "app", operator: "NotIn", values: ["x"] }] },
  ),
);
const kubernetesPeer = fc.oneof(
  fc.record({ podSelector: labelSelector }),
  fc.record({
    namespaceSelector: fc.constantFrom({}, { matchLabels: { color: "red" } }),
    podSelector: labelSelector,
  }),
  fc.record({ namespaceSelector: fc.constant({ matchLabels: { color: "blue" } }) }),
  fc.constantFrom(
    { ipBlock: { cidr: "10.0.0.0/8", except: ["10.0.1.0/24"] } },
    { ipBlock: { cidr: "fd00::/64" } },
  ),
);
const kubernetesPort = fc.constantFrom(
  { port: 80 },
  { port: 8000, endPort: 9000 },
  { port: "http" },
  { protocol: "UDP", port: 5353 },
  { protocol: "SCTP" },
);

function kubernetesPolicy(index: number): fc.Arbitrary<AnyResource> {
  const peers = fc.array(kubernetesPeer, { maxLength: 2 });
  const ports = fc.array(kubernetesPort, { maxLength: 3 });
  return fc
    .record({
      namespace: fc.constantFrom(...namespaces),
      podSelector: labelSelector,
      ingress: fc.array(fc.record({ from: peers, ports }), { maxLength: 2 }),
      egress: fc.array(fc.record({ to: peers, ports }), { maxLength: 2 }),
    })
    .map(({ namespace, ...spec }) =>
      networkPolicyOf({
        apiVersion: "networking.k8s.io/v1",
        kind: "NetworkPolicy",
        metadata: { name: `k${index}`, namespace },
        spec,
      } as Parameters<typeof networkPolicyOf>[0]),
    );
}

/** What every cluster has, whatever is drawn: nodes, namespaces, accounts and tiers; "gone" is a tier that is not there. */
export const fixed: readonly AnyResource[] = [
  ...nodes.map((name, index) =>
    resource("Node", name, { bgp: { ipv4Address: `192.168.0.${index + 1}/24` } }),
  ),
  ...namespaces.flatMap((name) => profilesOfNamespace({ name, labels: { color: name } })),
  ...namespaces.map((name) =>
    resource("Profile", `ksa.${name}.robot`, { labelsToApply: { "pcsa.role": "machine" } }),
  ),
  resource("Tier", "default", { order: 1_000_000, defaultAction: "Deny" }),
  resource("Tier", "early", { order: 10, defaultAction: "Deny" }),
  resource("Tier", "lax", { order: 10, defaultAction: "Pass" }),
];

const networkSets = fc
  .tuple(labels, labels, subset(nets4, { minLength: 1 }), subset(outside.map(hostNet)))
  .map(([a, b, wide, narrow]) =>
    supports("NetworkSet")
      ? [
          resource("GlobalNetworkSet", "wide", { nets: wide }, { labels: a }),
          resource("NetworkSet", "narrow", { nets: narrow }, { namespace: "red", labels: b }),
        ]
      : [],
  );

function hostNet(address: string): string {
  return `${address}/${address.includes(":") ? 128 : 32}`;
}

const slices = subset(pods).map((behind) =>
  supports("EndpointSlice")
    ? [
        decodeResource({
          apiVersion: "discovery.k8s.io/v1",
          kind: "EndpointSlice",
          metadata: {
            name: "web-1",
            namespace: "red",
            labels: { "kubernetes.io/service-name": "web" },
          },
          addressType: "IPv4",
          endpoints: behind.map((index) => ({ addresses: [v4Of(index)] })),
          ports: [{ protocol: "TCP", port: 8080 }],
        }),
      ]
    : [],
);

const configuration = fc
  .constantFrom("Drop", "Accept", "Return")
  .map((action) =>
    resource("FelixConfiguration", "default", { defaultEndpointToHostAction: action }),
  );

function often<T>(value: T, times: number): T[] {
  return Array.from({ length: times }, () => value);
}

/** Mostly pods; the world and the nodes, too. */
const ends: Readonly<Record<4 | 6, fc.Arbitrary<string>>> = {
  4: fc.constantFrom(
    ...pods.flatMap((index) => often(v4Of(index), 3)),
    ...outside.filter((address) => !address.includes(":")),
    "192.168.0.1",
    "192.168.0.2",
  ),
  6: fc.constantFrom(
    ...pods.flatMap((index) => often(v6Of(index), 3)),
    ...outside.filter((address) => address.includes(":")),
  ),
};

function packet(family: 4 | 6): fc.Arbitrary<Packet> {
  return fc
    .record({
      source: ends[family],
      destination: ends[family],
      protocol: fc.constantFrom(
        ...often("tcp", 12),
        ...often("udp", 3),
        ...often("icmp", 3),
        "sctp",
        "ipip",
      ),
      sourcePort: fc.constantFrom(40_000, 80, 5353),
      destinationPort: fc.constantFrom(...often(80, 4), ...often(8080, 4), 443, 5353, 4789, 7010),
      icmp: fc.constantFrom({ type: 8, code: 0 }, { type: 3, code: 1 }, { type: 128, code: 0 }),
    })
    .filter(({ source, destination }) => source !== destination)
    .map(({ source, destination, protocol, sourcePort, destinationPort, icmp: message }) => {
      const both = { source: parseIpAddr(source), destination: parseIpAddr(destination) };
      if (protocol === "icmp") return { ...both, protocol: family === 6 ? 58 : 1, icmp: message };
      if (protocol === "ipip") return { ...both, protocol: 4 };
      const number = { tcp: 6, udp: 17, sctp: 132 }[protocol] ?? 6;
      return { ...both, protocol: number, sourcePort, destinationPort };
    });
}

/** Packets of one case are of one family: its rules alone are rendered. */
function packetsOf(count: number): fc.Arbitrary<Packet[]> {
  const many = (family: 4 | 6) =>
    fc.array(packet(family), { minLength: 1, maxLength: count, size: "max" });
  return fc.oneof({ weight: 4, arbitrary: many(4) }, { weight: 1, arbitrary: many(6) });
}

/** Clusters with `packets` packets each; shrinking takes policies, rules, fields and packets away. */
export function arbitraryCase(packets: number): fc.Arbitrary<Case> {
  return fc
    .record({
      pods: fc.tuple(...pods.map((index) => maybe(pod(index)))),
      policies: fc.tuple(...policySlots.map((index) => maybe(policy(index)))),
      networkSets,
      slices,
      configuration,
      packets: packetsOf(packets),
    })
    .map((drawn) => ({
      resources: [
        ...fixed,
        ...[...drawn.pods, ...drawn.policies].filter((one) => one !== undefined),
        ...drawn.networkSets,
        ...drawn.slices,
        drawn.configuration,
      ],
      packets: drawn.packets,
    }));
}
