import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { withDefaults } from "../../../src/api/defaults.ts";
import { kindOfWord } from "../../../src/api/kinds.ts";
import { decodeResource, decodeStored } from "../../../src/api/validate.ts";

type Spec = Record<string, unknown>;

function v3(kind: string, spec: Spec, metadata: Spec = { name: "x" }): unknown {
  return { apiVersion: "projectcalico.org/v3", kind, metadata, spec };
}

function policy(rule: Spec, direction = "ingress"): unknown {
  return v3("NetworkPolicy", { [direction]: [{ action: "Allow", ...rule }] });
}

const pool = (spec: Spec) => v3("IPPool", { cidr: "10.0.0.0/16", ...spec });
const gnp = (spec: Spec) => v3("GlobalNetworkPolicy", spec);
const tier = (name: string, spec: Spec) => v3("Tier", spec, { name });
const peer = (spec: Spec) => v3("BGPPeer", { peerIP: "192.0.2.1", ...spec });
const tcp = { protocol: "TCP" };

/** What is refused, and the whole message after "Cannot accept ". */
const refused: readonly (readonly [input: unknown, message: string])[] = [
  [
    v3(
      "IPPool",
      { cidr: "10.0.0.0/16", vxlanMode: "Always" },
      { name: "p", annotations: { "tortie.dev/encapsulation": "UDP" } },
    ),
    'IPPool "p": metadata.annotations[tortie.dev/encapsulation]: "UDP": ipipMode and vxlanMode must both be Never',
  ],
  [null, "this: must be an object, got null"],
  [[], "this: must be an object, got []"],
  [{}, "resource: kind: is required"],
  [{ kind: "Pod" }, 'Pod: kind: "Pod" is not known'],
  [{ kind: "toString" }, 'toString: kind: "toString" is not known'],
  [
    { apiVersion: "crd.projectcalico.org/v1", kind: "IPPool", metadata: { name: "p" } },
    'IPPool "p": apiVersion: must be projectcalico.org/v3, got "crd.projectcalico.org/v1"',
  ],
  [{ apiVersion: "projectcalico.org/v3", kind: "Node" }, "Node: metadata: is required"],
  [v3("Node", {}, {}), "Node: metadata.name: is required"],
  [v3("Node", {}, { name: 7 }), "Node: metadata.name: must be a string, got 7"],
  [
    v3("Node", {}, { name: "A" }),
    'Node "A": metadata.name: must be a DNS name (lower case, digits, - and .), got "A"',
  ],
  [
    v3("Node", {}, { name: "a", namespace: "default" }),
    'Node "a": metadata.namespace: may not be given: Node is not namespaced',
  ],
  [
    v3("Node", {}, { name: "a", labels: { "a b": "c" } }),
    'Node "a": metadata.labels: "a b" is no label name',
  ],
  [
    v3("Node", {}, { name: "a", labels: { a: "c d" } }),
    'Node "a": metadata.labels["a"]: "c d" is no label value',
  ],
  [
    v3("Node", {}, { name: "a", labels: { a: 1 } }),
    'Node "a": metadata.labels["a"]: must be a string, got 1',
  ],
  [
    v3("HostEndpoint", { node: "a" }),
    'HostEndpoint "x": spec.expectedIPs: is required without interfaceName',
  ],
  [v3("HostEndpoint", { interfaceName: "*" }), 'HostEndpoint "x": spec.node: is required'],
  [
    v3("HostEndpoint", { node: "a", interfaceName: "a b" }),
    'HostEndpoint "x": spec.interfaceName: must be an interface name of at most 15 characters, or "*", got "a b"',
  ],
  [
    v3("IPReservation", { reservedCIDRs: ["10.0.0.0/33"] }),
    'IPReservation "x": spec.reservedCIDRs[0]: Cannot parse prefix "10.0.0.0/33": its length must be 0 to 32',
  ],
  [
    v3("StagedNetworkPolicy", { stagedAction: "Delete", selector: "all()" }),
    'StagedNetworkPolicy "x": spec.selector: may not be given when stagedAction is Delete',
  ],
  [
    v3("StagedGlobalNetworkPolicy", { stagedAction: "Perhaps" }),
    'StagedGlobalNetworkPolicy "x": spec.stagedAction: must be Set, Delete, Learn or Ignore, got "Perhaps"',
  ],
  [
    v3("KubeControllersConfiguration", {}, { name: "other" }),
    'KubeControllersConfiguration "other": metadata.name: must be "default", got "other"',
  ],
  [
    v3(
      "KubeControllersConfiguration",
      { controllers: { node: { leakGracePeriod: "soon" } } },
      { name: "default" },
    ),
    'KubeControllersConfiguration "default": spec.controllers.node.leakGracePeriod: must be a duration such as "90s" or "1m30s", got "soon"',
  ],
  [v3("Node", { bgp: { asnumber: 1 } }), 'Node "x": spec.bgp.asnumber: unknown field'],
  [
    v3("Node", { bgp: { ipv4Address: "10.0.0.256/24" } }),
    'Node "x": spec.bgp.ipv4Address: Cannot parse address "10.0.0.256"',
  ],
  [
    policy({ action: "allow" }),
    'NetworkPolicy "x": spec.ingress[0].action: must be Allow, Deny, Log or Pass, got "allow"',
  ],
  [
    policy({ protocol: "HTTP" }),
    'NetworkPolicy "x": spec.ingress[0].protocol: must be TCP, UDP, ICMP, ICMPv6, SCTP or UDPLite, got "HTTP"',
  ],
  [
    policy({ protocol: 256 }),
    'NetworkPolicy "x": spec.ingress[0].protocol: must be an integer from 1 to 255, got 256',
  ],
  [policy({ sorce: {} }), 'NetworkPolicy "x": spec.ingress[0].sorce: unknown field'],
  [policy({ ipVersion: 5 }), 'NetworkPolicy "x": spec.ingress[0].ipVersion: must be 4 or 6, got 5'],
  [
    policy({ source: { ports: [80] } }),
    'NetworkPolicy "x": spec.ingress[0].source.ports: needs protocol TCP, UDP or SCTP',
  ],
  [
    policy({ ...tcp, destination: { ports: ["90:80"] } }),
    'NetworkPolicy "x": spec.ingress[0].destination.ports[0]: must be ports from 0 to 65535, got "90:80"',
  ],
  [
    policy({ ...tcp, destination: { ports: ["a b"] } }),
    'NetworkPolicy "x": spec.ingress[0].destination.ports[0]: must be a port, "min:max" or a port\'s name, got "a b"',
  ],
  [
    policy({ icmp: { type: 8 } }),
    'NetworkPolicy "x": spec.ingress[0].icmp: needs protocol ICMP or ICMPv6',
  ],
  [
    policy({ protocol: "ICMP", icmp: { code: 8 } }),
    'NetworkPolicy "x": spec.ingress[0].icmp.code: may only be given with type',
  ],
  [
    policy({ protocol: "ICMPv6", ipVersion: 4 }),
    'NetworkPolicy "x": spec.ingress[0].ipVersion: is 4: ICMPv6 is 6',
  ],
  [
    policy({ source: { selector: "a = b" } }),
    'NetworkPolicy "x": spec.ingress[0].source.selector: Cannot parse selector "a = b": expected an operator at position 2',
  ],
  [
    policy({ source: { nets: ["10.0.0.0/33"] } }),
    'NetworkPolicy "x": spec.ingress[0].source.nets[0]: Cannot parse prefix "10.0.0.0/33": its length must be 0 to 32',
  ],
  [
    policy({ source: { nets: ["10.0.0.0/8"] }, destination: { nets: ["fd00::/8"] } }),
    'NetworkPolicy "x": spec.ingress[0].destination.nets[0]: is IPv6, the rule is IPv4',
  ],
  [
    policy({ source: { notNets: ["0.0.0.0/0"] } }),
    'NetworkPolicy "x": spec.ingress[0].source.notNets[0]: excludes everything, got "0.0.0.0/0"',
  ],
  [
    policy({ destination: { services: { name: "s" } } }),
    'NetworkPolicy "x": spec.ingress[0].destination.services: may only be in the source of ingress rules',
  ],
  [
    policy({ source: { services: { name: "s" }, selector: "has(a)" } }),
    'NetworkPolicy "x": spec.ingress[0].source.selector: may not be given together with services',
  ],
  [
    policy({ http: { methods: ["GET"] }, protocol: "UDP" }),
    'NetworkPolicy "x": spec.ingress[0].http: needs protocol TCP',
  ],
  [
    v3("NetworkPolicy", { selector: "global()" }),
    'NetworkPolicy "x": spec.selector: may not use global(): only the namespaceSelector of a rule\'s source or destination may',
  ],
  [
    v3("NetworkPolicy", { selector: `has(${"a".repeat(1020)})` }),
    'NetworkPolicy "x": spec.selector: has 1025 characters, at most 1024 fit',
  ],
  [
    v3("NetworkPolicy", { order: "10" }),
    'NetworkPolicy "x": spec.order: must be a number, got "10"',
  ],
  [
    v3("NetworkPolicy", { types: ["Ingress", "Ingress"] }),
    'NetworkPolicy "x": spec.types: has "Ingress" twice',
  ],
  [
    v3("NetworkPolicy", { ingress: Array.from({ length: 1025 }, () => ({ action: "Allow" })) }),
    'NetworkPolicy "x": spec.ingress: has 1025 items, at most 1024 fit',
  ],
  [
    v3("NetworkPolicy", {}, { name: "a.b.c" }),
    'NetworkPolicy "a.b.c": metadata.name: must be a DNS label, or two joined by a dot, got "a.b.c"',
  ],
  [
    v3("NetworkPolicy", {}, { name: "a", namespace: "a.b" }),
    'NetworkPolicy "a": metadata.namespace: must be a DNS label (lower case, digits, -), got "a.b"',
  ],
  [
    gnp({ doNotTrack: true }),
    'GlobalNetworkPolicy "x": spec.applyOnForward: must be true when doNotTrack is',
  ],
  [
    gnp({ doNotTrack: true, preDNAT: true, applyOnForward: true }),
    'GlobalNetworkPolicy "x": spec.preDNAT: may not be true together with doNotTrack',
  ],
  [
    gnp({ preDNAT: true, applyOnForward: true, egress: [{ action: "Deny" }] }),
    'GlobalNetworkPolicy "x": spec.egress: may not be given when preDNAT is true',
  ],
  [
    pool({ cidr: "10.0.0.1/16" }),
    'IPPool "x": spec.cidr: Cannot parse prefix "10.0.0.1/16": host bits are set, did you mean 10.0.0.0/16',
  ],
  [pool({ cidr: "10.0.0.0" }), 'IPPool "x": spec.cidr: must be a CIDR, got "10.0.0.0"'],
  [v3("IPPool", {}), 'IPPool "x": spec.cidr: is required'],
  [pool({ blockSize: 19 }), 'IPPool "x": spec.blockSize: must be 20 to 32 for IPv4, got 19'],
  [
    pool({ cidr: "fd00::/64", blockSize: 115 }),
    'IPPool "x": spec.blockSize: must be 116 to 128 for IPv6, got 115',
  ],
  [
    pool({ cidr: "10.0.0.0/27" }),
    'IPPool "x": spec.cidr: is smaller than one block (/26), got "10.0.0.0/27"',
  ],
  [
    pool({ cidr: "169.254.1.0/24" }),
    'IPPool "x": spec.cidr: overlaps the link-local range 169.254.0.0/16, got "169.254.1.0/24"',
  ],
  [
    pool({ ipipMode: "Always", vxlanMode: "CrossSubnet" }),
    'IPPool "x": spec.ipipMode: and vxlanMode exclude each other, got "Always" and "CrossSubnet"',
  ],
  [
    pool({ cidr: "fd00::/64", ipipMode: "Always" }),
    'IPPool "x": spec.ipipMode: must be Never for IPv6, got "Always"',
  ],
  [
    pool({ allowedUses: ["LoadBalancer", "Workload"] }),
    'IPPool "x": spec.allowedUses: has LoadBalancer, which must be alone',
  ],
  [
    pool({ namespaceSelector: "has(a)", allowedUses: ["Tunnel"] }),
    'IPPool "x": spec.namespaceSelector: may not be given when allowedUses has Tunnel',
  ],
  [
    pool({ blockSize: 8, natOutgoing: "yes" }),
    'IPPool "x": spec.natOutgoing: must be true or false, got "yes"',
  ],
  [
    pool({ ipipMode: "x", vxlanMode: "y" }),
    'IPPool "x": spec.ipipMode: must be Never, Always or CrossSubnet, got "x"; spec.vxlanMode: must be Never, Always or CrossSubnet, got "y"',
  ],
  [
    tier("default", { order: 5 }),
    'Tier "default": spec.order: must be 1000000 in tier default, got 5',
  ],
  [
    tier("kube-admin", { defaultAction: "Deny" }),
    'Tier "kube-admin": spec.defaultAction: must be Pass in tier kube-admin, got "Deny"',
  ],
  [
    tier("a.b", {}),
    'Tier "a.b": metadata.name: must be a DNS label (lower case, digits, -), got "a.b"',
  ],
  [
    v3("ClusterInformation", {}, { name: "x" }),
    'ClusterInformation "x": metadata.name: must be "default", got "x"',
  ],
  [
    v3("BGPConfiguration", {}),
    'BGPConfiguration "x": metadata.name: must be "default" or "node.NAME", got "x"',
  ],
  [
    v3("BGPConfiguration", { asNumber: "70000.1" }, { name: "default" }),
    'BGPConfiguration "default": spec.asNumber: Cannot parse AS number "70000.1": it must be 0 to 4294967295, or a.b',
  ],
  [
    v3("BGPConfiguration", { communities: [{ name: "c", value: "1:70000" }] }, { name: "default" }),
    'BGPConfiguration "default": spec.communities[0].value: must be aa:nn or aa:nn:mm, got "1:70000"',
  ],
  [v3("BGPPeer", {}), 'BGPPeer "x": spec: must have peerIP, peerSelector or localWorkloadSelector'],
  [
    peer({ node: "a", nodeSelector: "all()" }),
    'BGPPeer "x": spec.node: and nodeSelector exclude each other',
  ],
  [
    peer({ peerIP: "192.0.2.1:70000" }),
    'BGPPeer "x": spec.peerIP: must have a port from 1 to 65535, got "192.0.2.1:70000"',
  ],
  [
    peer({ peerIP: "192.0.2.1%eth0" }),
    'BGPPeer "x": spec.peerIP: must name an interface after %, got "192.0.2.1%eth0"',
  ],
  [
    peer({ peerIP: "fe80::1%not an interface" }),
    'BGPPeer "x": spec.peerIP: must name an interface after %, got "fe80::1%not an interface"',
  ],
  [
    v3(
      "BGPPeer",
      { peerIP: "192.0.2.1" },
      { name: "x", annotations: { "tortie.dev/bfd": "9ms x 3" } },
    ),
    'BGPPeer "x": metadata.annotations: tortie.dev/bfd must be an interval from 10ms to 60000ms and a multiplier, as in "300ms x 3", got "9ms x 3"',
  ],
  [
    v3("BGPPeer", { peerIP: "192.0.2.1" }, { name: "x", annotations: { "tortie.dev/bdf": "" } }),
    'BGPPeer "x": metadata.annotations: tortie.dev/bdf is not known',
  ],
  [
    peer({ reachableBy: "fd00::1" }),
    'BGPPeer "x": spec.reachableBy: must be of the family of peerIP, got "fd00::1"',
  ],
  [
    peer({ maxRestartTime: "2 minutes" }),
    'BGPPeer "x": spec.maxRestartTime: must be a duration such as "90s" or "1m30s", got "2 minutes"',
  ],
  [
    v3("FelixConfiguration", { vxlanPort: 4789 }),
    'FelixConfiguration "x": spec.nodeSelector: is required unless the name is "default" or "node.NAME"',
  ],
  [
    v3("FelixConfiguration", { vxlanport: 4789 }, { name: "default" }),
    'FelixConfiguration "default": spec.vxlanport: unknown field',
  ],
  [
    v3("FelixConfiguration", { chainInsertMode: "top" }, { name: "default" }),
    'FelixConfiguration "default": spec.chainInsertMode: must be Insert or Append, got "top"',
  ],
  [
    v3("IPAMConfiguration", { maxBlocksPerHost: 3 }, { name: "default" }),
    'IPAMConfiguration "default": spec.maxBlocksPerHost: may be above 0 only when strictAffinity is true',
  ],
];

for (const [input, message] of refused) {
  test(`decodeResource() refuses ${message.slice(0, 100)}`, () => {
    assert.throws(() => decodeResource(input), {
      name: "InputError",
      message: `Cannot accept ${message}`,
    });
  });
}

/** What is accepted, and the spec with its defaults. */
const accepted: readonly (readonly [input: unknown, spec: Spec])[] = [
  [
    pool({ natOutgoing: true }),
    {
      cidr: "10.0.0.0/16",
      natOutgoing: true,
      blockSize: 26,
      ipipMode: "Never",
      vxlanMode: "Never",
      allowedUses: ["Workload", "Tunnel"],
      assignmentMode: "Automatic",
      nodeSelector: "all()",
    },
  ],
  [
    v3("IPPool", { cidr: "fd00::/64", namespaceSelector: "has(a)", nodeSelector: "" }),
    {
      cidr: "fd00::/64",
      namespaceSelector: "has(a)",
      blockSize: 122,
      ipipMode: "Never",
      vxlanMode: "Never",
      allowedUses: ["Workload"],
      assignmentMode: "Automatic",
      nodeSelector: "all()",
    },
  ],
  [v3("NetworkPolicy", {}), { tier: "default", types: ["Ingress"] }],
  [
    v3("NetworkPolicy", { egress: [{ action: "Deny" }], ingress: null }),
    { tier: "default", types: ["Egress"], egress: [{ action: "Deny" }] },
  ],
  [
    v3("NetworkPolicy", { egress: [{ action: "Deny" }], ingress: [{ action: "Log" }] }),
    {
      tier: "default",
      types: ["Ingress", "Egress"],
      ingress: [{ action: "Log" }],
      egress: [{ action: "Deny" }],
    },
  ],
  [
    policy({ source: { nets: ["10.0.0.1/8", "192.0.2.1"] } }),
    {
      tier: "default",
      types: ["Ingress"],
      ingress: [{ action: "Allow", source: { nets: ["10.0.0.0/8", "192.0.2.1/32"] } }],
    },
  ],
  [
    policy({ destination: { ports: ["http"] } }),
    {
      tier: "default",
      types: ["Ingress"],
      ingress: [{ action: "Allow", destination: { ports: ["http"] } }],
    },
  ],
  [tier("default", {}), { order: 1_000_000, defaultAction: "Deny" }],
  [tier("security", { order: 10 }), { order: 10, defaultAction: "Deny" }],
  [peer({ peerIP: "[fd00::1]:1179" }), { peerIP: "[fd00::1]:1179" }],
  [peer({ peerIP: "fe80::1%eth0.5" }), { peerIP: "fe80::1%eth0.5" }],
  [
    peer({ peerIP: "[fe80::1%eth0.5]:1179", reachableBy: "fd00::1" }),
    { peerIP: "[fe80::1%eth0.5]:1179", reachableBy: "fd00::1" },
  ],
  [
    v3("FelixConfiguration", { bpfEnabled: true, nftablesMode: "auto" }, { name: "default" }),
    { bpfEnabled: true, nftablesMode: "auto" },
  ],
  // Facts B.4: minimal manifests that must apply unchanged.
  [
    v3(
      "BGPConfiguration",
      {
        nodeToNodeMeshEnabled: false,
        asNumber: 64512,
        serviceClusterIPs: [{ cidr: "10.96.0.0/12" }],
      },
      { name: "default" },
    ),
    {
      nodeToNodeMeshEnabled: false,
      asNumber: 64512,
      serviceClusterIPs: [{ cidr: "10.96.0.0/12" }],
    },
  ],
  [
    v3("BGPPeer", { nodeSelector: "all()", peerSelector: "route-reflector == 'true'" }),
    { nodeSelector: "all()", peerSelector: "route-reflector == 'true'" },
  ],
  [
    gnp({
      selector: "projectcalico.org/namespace not in {'kube-system'}",
      order: 2000,
      types: ["Ingress", "Egress"],
    }),
    {
      selector: "projectcalico.org/namespace not in {'kube-system'}",
      order: 2000,
      types: ["Ingress", "Egress"],
      tier: "default",
    },
  ],
];

for (const [input, spec] of accepted) {
  test(`decodeResource() accepts ${JSON.stringify(input).slice(0, 140)}`, () => {
    const resource = decodeResource(input);
    assert.deepEqual(resource.spec, spec);
    assert.deepEqual(withDefaults(resource), resource);
    assert.deepEqual(decodeResource(resource), resource);
  });
}

test("decodeResource() puts a policy in namespace default and labels it with its tier", () => {
  assert.deepEqual(decodeResource(v3("NetworkPolicy", { tier: "security" })).metadata, {
    name: "x",
    namespace: "default",
    labels: { "projectcalico.org/tier": "security" },
  });
});

test("decodeResource() names at most five problems and counts the rest", () => {
  const bad = v3("NetworkPolicy", { ingress: Array.from({ length: 8 }, () => ({ action: "x" })) });
  assert.throws(() => decodeResource(bad), /spec\.ingress\[4\]\.action: [^;]*; and 3 more$/);
});

test("decodeStored() keeps unknown fields and never throws", () => {
  const stored = decodeStored(pool({ fromTheFuture: { a: 1 } }));
  assert.ok(stored.ok);
  assert.deepEqual((stored.resource.spec as unknown as Spec)["fromTheFuture"], { a: 1 });
  assert.deepEqual(decodeStored(pool({ cidr: "no" })), {
    ok: false,
    reason: 'Cannot accept IPPool "x": spec.cidr: must be a CIDR, got "no"',
  });
});

test("decodeStored() gives an object of which nothing changes as it is, and never changes one", () => {
  const metadata = { name: "node--a-k8s-web-eth0", namespace: "prod" };
  const spec = {
    orchestrator: "k8s",
    node: "node-a",
    endpoint: "eth0",
    interfaceName: "cali1",
    ipNetworks: ["10.0.0.1/32"],
  };
  const right = v3("WorkloadEndpoint", spec, metadata);
  const stored = decodeStored(right);
  assert.ok(stored.ok);
  assert.equal(stored.resource, right);

  const changed = v3(
    "WorkloadEndpoint",
    { ...spec, mac: null, ipNetworks: ["10.0.0.1"] },
    metadata,
  );
  const before = structuredClone(changed);
  const decoded = decodeStored(changed);
  assert.ok(decoded.ok);
  assert.deepEqual(decoded.resource, right);
  assert.deepEqual(changed, before);
});

test("decodeStored() keeps sequence numbers exact", () => {
  const block = v3(
    "IPAMBlock",
    {
      cidr: "10.0.0.64/30",
      affinity: "host:node1",
      allocations: [0, null, null, null],
      unallocated: [1, 2, 3],
      attributes: [{ handle_id: "h", secondary: { pod: "p" } }],
      sequenceNumber: 1755856800000000003n,
      sequenceNumberForAllocation: { "0": 1 },
    },
    { name: "10-0-0-64-30" },
  );
  const stored = decodeStored(block);
  assert.ok(stored.ok && stored.resource.kind === "IPAMBlock");
  assert.equal(stored.resource.spec.sequenceNumber, 1755856800000000003n);
  assert.deepEqual(stored.resource.spec.sequenceNumberForAllocation, { "0": 1n });
  assert.deepEqual(stored.resource.spec.allocations, [0, null, null, null]);
});

test("decodeStored() gives a result or a reason for any JSON", () => {
  const resource = fc.record({
    apiVersion: fc.constant("projectcalico.org/v3"),
    kind: fc.constantFrom("IPPool", "NetworkPolicy", "BGPPeer", "IPAMBlock", "FelixConfiguration"),
    metadata: fc.oneof(fc.record({ name: fc.string() }), fc.jsonValue()),
    spec: fc.oneof(
      fc.jsonValue(),
      fc.dictionary(
        fc.constantFrom("cidr", "ingress", "peerIP", "selector", "allocations", "__proto__"),
        fc.jsonValue(),
      ),
    ),
  });
  fc.assert(
    fc.property(fc.oneof(resource, fc.jsonValue()), (input) => {
      const stored = decodeStored(input);
      assert.ok(stored.ok || stored.reason.startsWith("Cannot accept "));
    }),
  );
});

test("kindOfWord() knows names, plurals and short names in any case", () => {
  const words: readonly (readonly [word: string, kind: string | undefined])[] = [
    ["ippool", "IPPool"],
    ["IPPools", "IPPool"],
    ["pool", "IPPool"],
    ["NP", "NetworkPolicy"],
    ["policies", "NetworkPolicy"],
    ["gnp", "GlobalNetworkPolicy"],
    ["no", "Node"],
    ["wep", "WorkloadEndpoint"],
    ["affinities", "BlockAffinity"],
    ["toString", undefined],
    ["", undefined],
  ];
  for (const [word, kind] of words) assert.equal(kindOfWord(word)?.kind, kind, word);
});
