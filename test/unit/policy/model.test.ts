import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { globalPolicyOf } from "../../../src/api/kubernetes/cluster-network-policy.ts";
import { networkPolicyOf } from "../../../src/api/kubernetes/network-policy.ts";
import { calicoApiVersion } from "../../../src/api/meta.ts";
import type { AnyResource } from "../../../src/api/resource-of-kind.ts";
import type { ClusterNetworkPolicy } from "../../../src/api/resources/cluster-network-policy.ts";
import type {
  KubernetesNetworkPolicy,
  KubernetesNetworkPolicySpec,
} from "../../../src/api/resources/kubernetes.ts";
import type { GlobalNetworkPolicySpec } from "../../../src/api/resources/policy.ts";
import type { EntityRule, Rule } from "../../../src/api/resources/rule.ts";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { policyCluster } from "../../../src/policy/cluster.ts";
import { withChanges } from "../../../src/policy/impact.ts";
import { PolicyModel } from "../../../src/policy/model.ts";
import { type Packet, pingPacket } from "../../../src/policy/packet.ts";
import { decisionText } from "../../../src/policy/verdict.ts";
import { writtenRule } from "../../../src/policy/written-rule.ts";
import {
  globalPolicy,
  hostEndpoint,
  node,
  pod,
  policy,
  pool,
  profile,
  tier,
} from "../../states/resources.ts";
import { fakeKey } from "../../support/fake-wireguard.ts";

/*
 * web (prod, 10.0.0.1), db (prod, 10.0.0.2) and web6 run on node-a, client (dev, 10.0.1.1) on node-b.
 */
const world: readonly AnyResource[] = [
  node("node-a", "192.168.0.1/24"),
  node("node-b", "192.168.0.2/24"),
  pod("web", {
    ip: "10.0.0.1/32",
    labels: { app: "web", "projectcalico.org/serviceaccount": "front" },
    profiles: ["kns.prod", "ksa.prod.front"],
    ports: [
      { name: "http", protocol: "TCP", port: 8080 },
      { name: "dns", protocol: "UDP", port: 5353 },
    ],
  }),
  pod("db", { ip: "10.0.0.2/32", labels: { app: "db" } }),
  pod("web6", { ip: "fd00::1/128", labels: { app: "web" } }),
  pod("client", {
    ip: "10.0.1.1/32",
    namespace: "dev",
    node: "node-b",
    labels: { app: "client", tier: "front" },
  }),
  profile("kns.prod", { ...allowAll(), labelsToApply: { "pcns.env": "production" } }),
  profile("kns.dev", { ...allowAll(), labelsToApply: { "pcns.env": "development" } }),
  profile("ksa.prod.front", { labelsToApply: { "pcsa.role": "frontend" } }),
  tier("default", { order: 1_000_000, defaultAction: "Deny" }),
];

function allowAll() {
  return { ingress: [{ action: "Allow" as const }], egress: [{ action: "Allow" as const }] };
}

const toWeb: Packet = packet("10.0.1.1", "10.0.0.1");

function packet(source: string, destination: string, other: Partial<Packet> = {}): Packet {
  return {
    source: parseIpAddr(source),
    destination: parseIpAddr(destination),
    protocol: 6,
    destinationPort: 8080,
    ...other,
  };
}

function judge(resources: readonly AnyResource[], of: Packet = toWeb) {
  const verdict = new PolicyModel(policyCluster(withChanges(world, resources))).judge(of);
  return { ...verdict, because: decisionText(verdict.decision) };
}

/** A policy for web alone with one rule; `says` when the rule matches. */
function rule(given: Partial<Rule>): AnyResource {
  return policy("p", { selector: "app == 'web'", ingress: [{ action: "Allow", ...given }] });
}

function from(source: EntityRule): Partial<Rule> {
  return { source };
}
const to = (destination: EntityRule): Partial<Rule> => ({ protocol: "TCP", destination });
const udp: Packet = { ...toWeb, protocol: 17, destinationPort: 5353 };
const ping = pingPacket(toWeb.source, toWeb.destination);
const v6 = packet("fd00::99", "fd00::1");

function resource(kind: string, name: string, spec: object, metadata: object = {}): AnyResource {
  return {
    apiVersion: calicoApiVersion,
    kind,
    metadata: { name, ...metadata },
    spec,
  } as unknown as AnyResource;
}

const office = resource(
  "GlobalNetworkSet",
  "office",
  { nets: ["172.16.0.0/12"] },
  {
    labels: { place: "office" },
  },
);
const ofProd = resource(
  "NetworkSet",
  "partners",
  { nets: ["203.0.113.7/32"] },
  {
    namespace: "prod",
    labels: { place: "partner" },
  },
);
const slice = {
  ...resource(
    "EndpointSlice",
    "web-1",
    {},
    {
      namespace: "prod",
      labels: { "kubernetes.io/service-name": "web" },
    },
  ),
  addressType: "IPv4",
  endpoints: [{ addresses: ["10.0.0.1"] }, { addresses: ["10.0.1.1"] }],
  ports: [{ protocol: "TCP", port: 8080 }],
} as unknown as AnyResource;

type Row = readonly [
  name: string,
  rule: Partial<Rule>,
  expected: boolean,
  packet?: Packet,
  others?: readonly AnyResource[],
];

describe("a rule matches only when every field does", () => {
  const rows: readonly Row[] = [
    ["an empty rule is about everything", {}, true],
    ["protocol by name", { protocol: "TCP" }, true],
    ["protocol by number", { protocol: 6 }, true],
    ["another protocol", { protocol: "UDP" }, false],
    ["notProtocol", { notProtocol: "TCP" }, false],
    ["notProtocol of another", { notProtocol: 17 }, true],
    ["SCTP", { protocol: "SCTP" }, true, { ...toWeb, protocol: 132 }],
    ["ipVersion 4", { ipVersion: 4 }, true],
    ["ipVersion 6", { ipVersion: 6 }, false],
    ["ipVersion 6 of IPv6", { ipVersion: 6 }, true, v6],
    ["ICMP without a type", { protocol: "ICMP" }, true, ping],
    ["ICMP type", { protocol: "ICMP", icmp: { type: 8 } }, true, ping],
    ["ICMP type and code", { protocol: "ICMP", icmp: { type: 8, code: 0 } }, true, ping],
    ["another ICMP code", { protocol: "ICMP", icmp: { type: 8, code: 1 } }, false, ping],
    ["another ICMP type", { protocol: "ICMP", icmp: { type: 3 } }, false, ping],
    ["notICMP", { protocol: "ICMP", notICMP: { type: 8 } }, false, ping],
    ["notICMP of another type", { protocol: "ICMP", notICMP: { type: 3 } }, true, ping],
    ["ICMP is not ICMPv6", { protocol: "ICMP" }, false, pingPacket(v6.source, v6.destination)],
    ["ICMPv6", { protocol: "ICMPv6" }, true, pingPacket(v6.source, v6.destination)],
    ["port", to({ ports: [8080] }), true],
    ["range", to({ ports: ["8000:9000"] }), true],
    ["another range", to({ ports: ["1:79"] }), false],
    ["one of several ports", to({ ports: [1, "2:3", 8080] }), true],
    ["notPorts", to({ notPorts: [8080] }), false],
    ["notPorts range", to({ notPorts: ["1:79"] }), true],
    ["named port", to({ ports: ["http"] }), true],
    ["named port of another pod", to({ ports: ["https"] }), false],
    ["named port is of TCP when nothing is said", { destination: { ports: ["http"] } }, true],
    ["named port of UDP needs the protocol", { destination: { ports: ["dns"] } }, false, udp],
    ["named port of UDP", { protocol: "UDP", destination: { ports: ["dns"] } }, true, udp],
    ["notPorts by name", to({ notPorts: ["http"] }), false],
    ["named or number", to({ ports: ["https", 8080] }), true],
    ["source port", { protocol: "TCP", source: { ports: [1234] } }, false],
    [
      "source port that it has",
      { protocol: "TCP", source: { ports: [1234] } },
      true,
      { ...toWeb, sourcePort: 1234 },
    ],
    ["nets", from({ nets: ["10.0.1.0/24"] }), true],
    ["nets with host bits", from({ nets: ["10.0.1.9/24"] }), true],
    ["one of the nets", from({ nets: ["192.0.2.0/24", "10.0.0.0/8"] }), true],
    ["other nets", from({ nets: ["10.0.2.0/24"] }), false],
    ["nets of the other family", from({ nets: ["::/0"] }), false],
    ["notNets", from({ notNets: ["10.0.1.0/24"] }), false],
    ["nets except", from({ nets: ["10.0.0.0/8"], notNets: ["10.0.1.1/32"] }), false],
    ["notNets of others", from({ notNets: ["10.0.2.0/24"] }), true],
    ["selector", from({ selector: "app == 'client'" }), false],
    [
      "selector of the own namespace",
      from({ selector: "app == 'db'" }),
      true,
      packet("10.0.0.2", "10.0.0.1"),
    ],
    ["all() is of the own namespace too", from({ selector: "all()" }), false],
    ["namespaceSelector", from({ namespaceSelector: "env == 'development'" }), true],
    ["another namespace", from({ namespaceSelector: "env == 'test'" }), false],
    ["namespaceSelector all()", from({ namespaceSelector: "all()" }), true],
    [
      "all() means no outsider",
      from({ namespaceSelector: "all()" }),
      false,
      packet("8.8.8.8", "10.0.0.1"),
    ],
    ["global() means no pod", from({ namespaceSelector: "global()", selector: "all()" }), false],
    [
      "global() means what is in no namespace",
      from({ namespaceSelector: "global()", selector: "place == 'office'" }),
      true,
      packet("172.16.1.1", "10.0.0.1"),
      [office],
    ],
    [
      "selector and namespaceSelector",
      from({ namespaceSelector: "all()", selector: "tier == 'front'" }),
      true,
    ],
    ["one of both fails", from({ namespaceSelector: "all()", selector: "tier == 'back'" }), false],
    ["notSelector alone is of the own namespace", from({ notSelector: "app == 'x'" }), false],
    ["notSelector", from({ notSelector: "app == 'db'" }), false, packet("10.0.0.2", "10.0.0.1")],
    [
      "selector without notSelector",
      from({ selector: "has(app)", notSelector: "app == 'web'" }),
      true,
      packet("10.0.0.2", "10.0.0.1"),
    ],
    [
      "a network set in the namespace",
      from({ selector: "place == 'partner'" }),
      true,
      packet("203.0.113.7", "10.0.0.1"),
      [ofProd],
    ],
    [
      "a network set inherits its namespace's labels",
      from({ namespaceSelector: "env == 'production'", selector: "has(place)" }),
      true,
      packet("203.0.113.7", "10.0.0.1"),
      [ofProd],
    ],
    [
      "a global network set is in no namespace",
      from({ selector: "place == 'office'" }),
      false,
      packet("172.16.1.1", "10.0.0.1"),
      [office],
    ],
    ["service accounts", to({ serviceAccounts: { names: ["front"] } }), true],
    ["other service accounts", to({ serviceAccounts: { names: ["back"] } }), false],
    [
      "service accounts by label",
      to({ serviceAccounts: { selector: "role == 'frontend'" } }),
      true,
    ],
    ["source service", from({ services: { name: "web" } }), true, toWeb, [slice]],
    ["source of another service", from({ services: { name: "db" } }), false, toWeb, [slice]],
    [
      "service of another namespace",
      from({ services: { name: "web", namespace: "dev" } }),
      false,
      toWeb,
      [slice],
    ],
    ["a selector that cannot be read allows nothing", from({ selector: "app ==" }), false],
  ];
  for (const [name, given, expected, of, others = []] of rows) {
    test(name, () => {
      const { allowed, because } = judge([rule(given), ...others], of);
      assert.equal(allowed, expected, because);
    });
  }
});

test("a denying rule that cannot be read denies everything", () => {
  const broken: Rule = { action: "Deny", source: { selector: "app ==" } };
  const { allowed, because } = judge([
    policy("p", { selector: "app == 'web'", ingress: [broken, { action: "Allow" }] }),
  ]);
  assert.deepEqual([allowed, because], [false, "Ingress rule 0 of NetworkPolicy prod/p"]);
});

test("an egress rule to a service asks for its ports, too", () => {
  const egress = [{ action: "Allow" as const, destination: { services: { name: "web" } } }];
  const resources = [policy("p", { selector: "app == 'db'", types: ["Egress"], egress }), slice];
  assert.equal(judge(resources, packet("10.0.0.2", "10.0.0.1")).allowed, true);
  assert.equal(
    judge(resources, packet("10.0.0.2", "10.0.0.1", { destinationPort: 81 })).allowed,
    false,
  );
  assert.equal(
    judge(resources, pingPacket(parseIpAddr("10.0.0.2"), toWeb.destination)).allowed,
    false,
  );
});

describe("order", () => {
  const deny = { ingress: [{ action: "Deny" as const }] };
  const allow = { ingress: [{ action: "Allow" as const }] };
  const pass = { ingress: [{ action: "Pass" as const }] };
  const rows: readonly [name: string, resources: readonly AnyResource[], because: string][] = [
    ["without policies the profile decides", [], "Ingress rule 0 of Profile kns.prod"],
    [
      "a policy of the smaller order is first",
      [policy("a", { order: 2, ...deny }), policy("b", { order: 1, ...allow })],
      "Ingress rule 0 of NetworkPolicy prod/b",
    ],
    [
      "no order is last",
      [policy("a", deny), policy("b", { order: 1e9, ...allow })],
      "Ingress rule 0 of NetworkPolicy prod/b",
    ],
    [
      "equal orders: by name",
      [policy("b", deny), policy("a", allow)],
      "Ingress rule 0 of NetworkPolicy prod/a",
    ],
    [
      "what no rule matches ends with its tier",
      [policy("a", { ingress: [] })],
      "no Ingress rule of tier default matched",
    ],
    [
      "a policy of Egress has no say of Ingress",
      [policy("a", { types: ["Egress"] })],
      "Ingress rule 0 of Profile kns.prod",
    ],
    [
      "a policy of another namespace",
      [policy("a", deny, "dev")],
      "Ingress rule 0 of Profile kns.prod",
    ],
    [
      "a policy whose selector cannot be read selects nothing",
      [policy("a", { selector: "((", ...deny })],
      "Ingress rule 0 of Profile kns.prod",
    ],
    [
      "Log goes on",
      [policy("a", { ingress: [{ action: "Log" }, { action: "Allow" }] })],
      "Ingress rule 1 of NetworkPolicy prod/a",
    ],
    [
      "Log alone ends with the tier",
      [policy("a", { ingress: [{ action: "Log" }] })],
      "no Ingress rule of tier default matched",
    ],
    [
      "Pass skips the rest of the tier",
      [policy("a", pass), policy("b", deny)],
      "Ingress rule 0 of Profile kns.prod",
    ],
    [
      "a tier of the smaller order is first",
      [
        tier("early", { order: 1 }),
        policy("a", { tier: "default", ...allow }),
        policy("b", { tier: "early", ...deny }),
      ],
      "Ingress rule 0 of NetworkPolicy prod/b",
    ],
    [
      "defaultAction Pass goes on to the next tier",
      [
        tier("early", { order: 1, defaultAction: "Pass" }),
        policy("a", allow),
        policy("b", { tier: "early", ingress: [] }),
      ],
      "Ingress rule 0 of NetworkPolicy prod/a",
    ],
    [
      "a tier that is not there comes last and denies",
      [policy("a", pass), policy("b", { tier: "nowhere", ingress: [] })],
      "no Ingress rule of tier nowhere matched",
    ],
    [
      "a staged policy is never enforced",
      [
        resource(
          "StagedNetworkPolicy",
          "s",
          { ingress: [{ action: "Deny" }] },
          { namespace: "prod" },
        ),
      ],
      "Ingress rule 0 of Profile kns.prod",
    ],
  ];
  for (const [name, resources, because] of rows) {
    test(name, () => assert.equal(judge(resources).because, because));
  }
});

test("both ends must agree: Egress is asked before Ingress", () => {
  const { allowed, because, checks } = judge([
    globalPolicy("g", { selector: "app == 'client'", egress: [{ action: "Deny" }] }),
  ]);
  assert.deepEqual([allowed, because], [false, "Egress rule 0 of GlobalNetworkPolicy g"]);
  assert.equal(checks.length, 1);
});

test("a profile that is missing lets nothing through, whatever others say", () => {
  const lost = pod("lost", { ip: "10.0.0.7/32", profiles: ["gone", "kns.prod"] });
  assert.equal(judge([lost], packet("10.0.1.1", "10.0.0.7")).because, "Profile gone is missing");
});

describe("what a global policy selects", () => {
  const rows: readonly [spec: GlobalNetworkPolicySpec, selects: boolean][] = [
    [{ selector: "app == 'web'" }, true],
    [{ selector: "app == 'db'" }, false],
    [{ namespaceSelector: "env == 'production'" }, true],
    [{ namespaceSelector: "env == 'development'" }, false],
    [{ selector: "app == 'web'", namespaceSelector: "all()" }, true],
    [{ serviceAccountSelector: "role == 'frontend'" }, true],
    [{ serviceAccountSelector: "role == 'backend'" }, false],
    [{ doNotTrack: true, applyOnForward: true }, false],
    [{ preDNAT: true, applyOnForward: true }, false],
    [{ applyOnForward: true }, true],
  ];
  for (const [spec, selects] of rows) {
    test(JSON.stringify(spec), () => {
      const { allowed } = judge([globalPolicy("g", { types: ["Ingress"], ...spec })]);
      assert.equal(allowed, !selects);
    });
  }
});

test("own labels win over inherited ones, an earlier profile's over a later one's", () => {
  const resources = [
    pod("p", { ip: "10.0.0.8/32", labels: { a: "own" }, profiles: ["one", "two"] }),
    profile("one", { ...allowAll(), labelsToApply: { a: "one", b: "one" } }),
    profile("two", { ...allowAll(), labelsToApply: { a: "two", b: "two", c: "two" } }),
  ];
  const model = new PolicyModel(policyCluster([...world, ...resources]));
  const labels = model.population.workloadAt(parseIpAddr("10.0.0.8"))?.labels;
  assert.deepEqual(
    ["a", "b", "c"].map((label) => labels?.get(label)),
    ["own", "one", "two"],
  );
});

describe("Kubernetes NetworkPolicy", () => {
  const kubernetes = (spec: KubernetesNetworkPolicySpec): AnyResource =>
    networkPolicyOf({
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { name: "web", namespace: "prod" },
      spec,
    } as KubernetesNetworkPolicy);
  const web = { matchLabels: { app: "web" } };
  const rows: readonly [name: string, spec: KubernetesNetworkPolicySpec, allowed: boolean][] = [
    ["selected and no rules", { podSelector: web }, false],
    ["not selected", { podSelector: { matchLabels: { app: "db" } } }, true],
    ["an empty rule", { podSelector: web, ingress: [{}] }, true],
    [
      "namespaceSelector and podSelector together",
      {
        podSelector: web,
        ingress: [
          {
            from: [
              {
                namespaceSelector: { matchLabels: { env: "development" } },
                podSelector: { matchLabels: { app: "client" } },
              },
            ],
          },
        ],
      },
      true,
    ],
    [
      "podSelector alone is of the own namespace",
      {
        podSelector: web,
        ingress: [{ from: [{ podSelector: { matchLabels: { app: "client" } } }] }],
      },
      false,
    ],
    [
      "ipBlock with except",
      {
        podSelector: web,
        ingress: [{ from: [{ ipBlock: { cidr: "10.0.0.0/8", except: ["10.0.1.0/24"] } }] }],
      },
      false,
    ],
    ["endPort", { podSelector: web, ingress: [{ ports: [{ port: 8000, endPort: 9000 }] }] }, true],
    ["named port", { podSelector: web, ingress: [{ ports: [{ port: "http" }] }] }, true],
    [
      "a port of UDP",
      { podSelector: web, ingress: [{ ports: [{ protocol: "UDP", port: 8080 }] }] },
      false,
    ],
  ];
  for (const [name, spec, allowed] of rows) {
    test(name, () => assert.equal(judge([kubernetes(spec)]).allowed, allowed));
  }
});

describe("ClusterNetworkPolicy", () => {
  const clusterPolicy = (spec: object): AnyResource =>
    globalPolicyOf({
      apiVersion: "policy.networking.k8s.io/v1alpha2",
      kind: "ClusterNetworkPolicy",
      metadata: { name: "cluster" },
      spec: { tier: "Admin", priority: 1, subject: { namespaces: {} }, ...spec },
    } as ClusterNetworkPolicy);
  const tiers = [
    tier("kube-admin", { order: 1_000, defaultAction: "Pass" }),
    tier("kube-baseline", { order: 10_000_000, defaultAction: "Pass" }),
  ];
  const from = [{ namespaces: { matchLabels: { env: "development" } } }];
  const clients = [{ pods: { podSelector: { matchLabels: { app: "client" } } } }];
  const nobodyToWeb = policy("web", { selector: "app == 'web'", types: ["Ingress"] });
  const anyToWeb = policy("web", { selector: "app == 'web'", ingress: [{ action: "Allow" }] });
  const deny = { ingress: [{ action: "Deny", from }] };
  const accept = { ingress: [{ action: "Accept", from: clients }] };
  const pass = { action: "Pass", from: clients };
  const protocols = [{ tcp: { destinationPort: { range: { start: 8000, end: 9000 } } } }];
  const rows: readonly [name: string, resources: readonly AnyResource[], allowed: boolean][] = [
    ["Admin denies what a NetworkPolicy allows", [clusterPolicy(deny), anyToWeb], false],
    ["Admin accepts what a NetworkPolicy denies", [clusterPolicy(accept), nobodyToWeb], true],
    ["Pass asks the NetworkPolicy", [clusterPolicy({ ingress: [pass] }), nobodyToWeb], false],
    [
      "Pass skips the rest of the tier",
      [clusterPolicy({ ingress: [pass, ...deny.ingress] }), anyToWeb],
      true,
    ],
    ["without a match the next tier is asked", [clusterPolicy({}), nobodyToWeb], false],
    [
      "Baseline denies where no NetworkPolicy is",
      [clusterPolicy({ ...deny, tier: "Baseline" })],
      false,
    ],
    [
      "Baseline is not asked where one is",
      [clusterPolicy({ ...deny, tier: "Baseline" }), anyToWeb],
      true,
    ],
    [
      "a port in the range",
      [clusterPolicy({ ingress: [{ action: "Deny", from, protocols }] })],
      false,
    ],
    [
      "another protocol",
      [
        clusterPolicy({
          ingress: [
            { action: "Deny", from, protocols: [{ udp: { destinationPort: { number: 8080 } } }] },
          ],
        }),
      ],
      true,
    ],
    [
      "egress to networks",
      [clusterPolicy({ egress: [{ action: "Deny", to: [{ networks: ["10.0.0.0/24"] }] }] })],
      false,
    ],
    [
      "a subject that is not the pod",
      [clusterPolicy({ ...deny, subject: { pods: { podSelector: { matchLabels: { a: "b" } } } } })],
      true,
    ],
    [
      "an Accept rule that cannot be understood matches nothing",
      [clusterPolicy({ ingress: [{ action: "Accept", from: [{ planets: {} }] }] }), nobodyToWeb],
      false,
    ],
    [
      "a Pass rule that cannot be understood denies",
      [clusterPolicy({ ingress: [{ action: "Pass", from: [{ planets: {} }] }] }), anyToWeb],
      false,
    ],
  ];
  for (const [name, resources, allowed] of rows) {
    test(name, () => assert.equal(judge([...tiers, ...resources]).allowed, allowed));
  }

  test("a decision names the policy and the rule as they were written", () => {
    const rule = { action: "Deny", from: [...clients, ...from] };
    const denies = clusterPolicy({
      ingress: [{ action: "Accept", from: [{ networks: [] }] }, rule],
    });
    assert.equal(
      judge([...tiers, denies]).because,
      "Ingress rule 0 of ClusterNetworkPolicy cluster",
    );
    assert.ok(denies.kind === "GlobalNetworkPolicy");
    assert.deepEqual(writtenRule(denies, "Ingress", 1), { path: "spec.ingress[1]", rule });
  });
});

describe("hosts", () => {
  const hep = (name: string, spec: object) =>
    resource("HostEndpoint", name, { node: "node-a", ...spec }, { labels: { host: "yes" } });
  const named = hep("eth0", { interfaceName: "eth0", expectedIPs: ["192.168.0.1"] });
  const wildcard = hep("all", { interfaceName: "*" });
  const policyOfHosts = (spec: GlobalNetworkPolicySpec) =>
    globalPolicy("h", { selector: "has(host)", ...spec });
  const denyIn = { types: ["Ingress" as const], ingress: [{ action: "Deny" as const }] };
  const toHost = packet("8.8.8.8", "192.168.0.1");
  const toPod = packet("8.8.8.8", "10.0.0.1");
  const ssh = { ...toHost, destinationPort: 22 };
  const rows: readonly [
    name: string,
    resources: readonly AnyResource[],
    packet: Packet,
    because: string,
  ][] = [
    ["without a host endpoint nobody has a say", [], toHost, "nobody has a say"],
    [
      "a host endpoint without policies and profiles is closed",
      [named],
      toHost,
      "no Ingress rule of a profile matched",
    ],
    [
      "its profile may open it",
      [hep("x", { interfaceName: "*", profiles: ["kns.prod"] })],
      toHost,
      "Ingress rule 0 of Profile kns.prod",
    ],
    [
      "a normal policy",
      [named, policyOfHosts({ ingress: [{ action: "Allow" }] })],
      toHost,
      "Ingress rule 0 of GlobalNetworkPolicy h",
    ],
    [
      "all interfaces",
      [wildcard, policyOfHosts(denyIn)],
      toHost,
      "Ingress rule 0 of GlobalNetworkPolicy h",
    ],
    [
      "a failsafe port stays open",
      [named, policyOfHosts(denyIn)],
      ssh,
      "Ingress failsafe port of the host",
    ],
    [
      "a normal policy is not of what passes through",
      [named, policyOfHosts(denyIn)],
      toPod,
      "Ingress rule 0 of Profile kns.prod",
    ],
    [
      "applyOnForward is",
      [named, policyOfHosts({ applyOnForward: true, ...denyIn })],
      toPod,
      "Ingress rule 0 of GlobalNetworkPolicy h",
    ],
    [
      "preDNAT is asked before",
      [named, policyOfHosts({ preDNAT: true, applyOnForward: true, ...denyIn })],
      toPod,
      "Ingress rule 0 of GlobalNetworkPolicy h",
    ],
    [
      "of an interface without preDNAT policies, those of all interfaces are asked",
      [
        hep("eth0", { expectedIPs: ["192.168.0.1"], profiles: ["kns.prod"] }),
        resource(
          "HostEndpoint",
          "all",
          { node: "node-a", interfaceName: "*" },
          { labels: { all: "yes" } },
        ),
        globalPolicy("p", { selector: "has(all)", preDNAT: true, applyOnForward: true, ...denyIn }),
      ],
      toHost,
      "Ingress rule 0 of GlobalNetworkPolicy p",
    ],
    [
      "what an untracked policy allows, no other one of the host is asked of",
      [
        named,
        policyOfHosts({ doNotTrack: true, applyOnForward: true, ingress: [{ action: "Allow" }] }),
        globalPolicy("z", { selector: "has(host)", ...denyIn }),
      ],
      toHost,
      "Ingress rule 0 of GlobalNetworkPolicy h",
    ],
    [
      "an untracked policy that says nothing lets go on",
      [named, policyOfHosts({ doNotTrack: true, applyOnForward: true, ingress: [] })],
      toHost,
      "no Ingress rule of a profile matched",
    ],
    [
      "a node and its own pods",
      [wildcard, policyOfHosts(denyIn)],
      packet("192.168.0.1", "10.0.0.1"),
      "a node may always reach its own pods",
    ],
    [
      "a pod and its own node",
      [],
      packet("10.0.0.1", "192.168.0.1"),
      "defaultEndpointToHostAction is DROP",
    ],
    [
      "a pod and its own node, by configuration",
      [resource("FelixConfiguration", "default", { defaultEndpointToHostAction: "Accept" })],
      packet("10.0.0.1", "192.168.0.1"),
      "defaultEndpointToHostAction is ACCEPT",
    ],
    [
      "tunnel packets of a pod",
      [],
      packet("10.0.0.1", "10.0.1.1", { protocol: 17, destinationPort: 4789 }),
      "a workload may not send tunnel packets of its own",
    ],
  ];
  for (const [name, resources, of, because] of rows) {
    test(name, () => assert.equal(judge(resources, of).because, because));
  }

  test("an interface that the datastore cannot tell is noted", () => {
    const { notes } = judge([hep("eth1", { interfaceName: "eth1" })], toHost);
    assert.match(notes.join(), /HostEndpoint eth1/);
  });
});

test("the trace tells the way: rules that did not match and why, selectors and whom they found", () => {
  const ingress: Rule[] = [
    { action: "Deny", protocol: "UDP" },
    { action: "Deny", source: { nets: ["192.0.2.0/24"] } },
    { action: "Allow", source: { namespaceSelector: "env == 'development'" } },
  ];
  const { checks } = judge([policy("p", { selector: "app == 'web'", ingress })]);
  const [, check] = checks;
  assert.deepEqual(check?.tiers, [
    {
      tier: "default",
      outcome: "allow",
      policies: [
        {
          policy: { kind: "NetworkPolicy", namespace: "prod", name: "p" },
          id: "np/prod/p",
          selector: "app == 'web'",
          rules: [
            { index: 0, action: "Deny", mismatch: "protocol: is tcp" },
            {
              index: 1,
              action: "Deny",
              mismatch: "source.nets: 10.0.1.1 is in none of 192.0.2.0/24",
            },
            {
              index: 2,
              action: "Allow",
              selectors: [
                {
                  field: "source.namespaceSelector",
                  selector: "env == 'development'",
                  matched: [{ kind: "Pod", namespace: "dev", name: "client" }],
                },
              ],
            },
          ],
        },
      ],
    },
  ]);
});

describe("between nodes, the host endpoint of the interface that the packet takes is asked", () => {
  const forward = globalPolicy("fw", {
    selector: "has(host)",
    applyOnForward: true,
    types: ["Ingress"],
    ingress: [{ action: "Deny" }],
  });
  const host = (name: string, address: string) =>
    hostEndpoint(name, { node: "node-a", expectedIPs: [address], labels: { host: "a" } });
  const tunnel = node("node-a", "192.168.0.1/24", { ipv4VXLANTunnelAddr: "10.0.0.64" });
  const far = node("node-b", "192.168.9.2/24");
  const keyed = (of: typeof far, octet: number) => ({
    ...of,
    status: { wireguardPublicKey: fakeKey(octet) },
  });
  const wireguard = node("node-a", "192.168.0.1/24", {
    ipv4VXLANTunnelAddr: "10.0.0.64",
    wireguard: { interfaceIPv4Address: "10.0.0.65" },
  });
  const both = [keyed(wireguard, 1), keyed(far, 2), poolOf("Always")];
  const rows: readonly [name: string, resources: readonly AnyResource[], denied: boolean][] = [
    ["no tunnel", [host("eth", "192.168.0.1")], true],
    ["vxlan, not eth0", [tunnel, poolOf("Always"), host("eth", "192.168.0.1")], false],
    ["vxlan", [tunnel, poolOf("Always"), host("vx", "10.0.0.64")], true],
    ["CrossSubnet, one subnet", [tunnel, poolOf("CrossSubnet"), host("vx", "10.0.0.64")], false],
    ["CrossSubnet, two", [tunnel, far, poolOf("CrossSubnet"), host("vx", "10.0.0.64")], true],
    ["WireGuard", [...both, host("wg", "10.0.0.65")], true],
    ["WireGuard, not vxlan", [...both, host("vx", "10.0.0.64")], false],
    ["WireGuard of one node alone", [...both, far, host("wg", "10.0.0.65")], false],
  ];
  for (const [name, resources, denied] of rows) {
    test(name, () => assert.equal(judge([forward, ...resources]).allowed, !denied));
  }
});

function poolOf(vxlanMode: "Always" | "CrossSubnet"): AnyResource {
  return pool("default", "10.0.0.0/16", { vxlanMode });
}
