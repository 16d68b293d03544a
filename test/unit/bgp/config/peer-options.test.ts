import assert from "node:assert/strict";
import { test } from "node:test";
import { calicoApiVersion } from "../../../../src/api/meta.ts";
import type { BGPConfigurationSpec, BGPPeerSpec } from "../../../../src/api/resources/bgp.ts";
import type { WorkloadEndpoint } from "../../../../src/api/resources/workload-endpoint.ts";
import { type Secrets, secretRefs } from "../../../../src/bgp/config/secrets.ts";
import type { SpeakerPeer } from "../../../../src/bgp/config/session.ts";
import { type SpeakerConfig, speakerConfig } from "../../../../src/bgp/config/speaker-config.ts";
import { Secret } from "../../../../src/lib/secret.ts";
import { type ClusterSketch, cluster } from "../speaker/cluster.ts";

const nodes: ClusterSketch["nodes"] = {
  a: { ipv4Address: "10.0.0.1/24", ipv6Address: "fd00::1/64" },
  b: { ipv4Address: "10.0.0.2/24" },
};
const meshOff = { nodeToNodeMeshEnabled: false };

function configOf(sketch: Partial<ClusterSketch>, secrets?: Secrets): SpeakerConfig {
  const resources = cluster({ nodes, configurations: { default: meshOff }, ...sketch });
  const config = speakerConfig(resources, "a", {}, secrets);
  assert.ok(config !== undefined);
  return config;
}

/** The one peer that a BGPPeer makes. */
function peerOf(
  spec: BGPPeerSpec,
  annotations: Readonly<Record<string, string>> = {},
): SpeakerPeer {
  const peer = { peerIP: "10.0.0.99", asNumber: 65001, ...spec };
  const config = configOf({ peers: { p: peer }, annotations: { p: annotations } });
  assert.deepEqual([config.problems, config.blocked], [[], []]);
  assert.equal(config.peers.length, 1);
  return config.peers[0] as SpeakerPeer;
}

/** A field of BGPPeer, and what of the session it changes. */
const rows: readonly (readonly [BGPPeerSpec, object])[] = [
  [{ ttlSecurity: 2 }, { ttlSecurityHops: 2 }],
  [{ keepaliveTime: "20s" }, { keepaliveSeconds: 20 }],
  [{ keepaliveTime: "300ms" }, { keepaliveSeconds: 1 }],
  [{ maxRestartTime: "5m" }, { gracefulRestartSeconds: 300 }],
  [{ localASNumber: "1.10" }, { localAs: 65546 }],
  [{ peerIP: "10.0.0.99:1790" }, { port: 1790, name: "Global_10_0_0_99_port_1790" }],
  [
    { peerIP: "[fd00::99]:1790" },
    { address: "fd00::99", port: 1790, families: [6], localAddress: "fd00::1" },
  ],
];

for (const [spec, changes] of rows) {
  test(`BGPPeer ${JSON.stringify(spec)} gives ${JSON.stringify(changes)}`, () => {
    const { config } = peerOf(spec);
    assert.deepEqual({ ...config, ...changes }, config);
  });
}

test("sourceAddress None leaves the choice to the kernel", () => {
  assert.equal(peerOf({}).config.localAddress, "10.0.0.1");
  assert.equal(peerOf({ sourceAddress: "None" }).config.localAddress, undefined);
});

test("A link-local peer is reached by its interface, from whatever address is there", () => {
  const { config } = peerOf({ peerIP: "fe80::1%eth0" });
  assert.deepEqual(
    [config.name, config.address, config.zone, config.localAddress, config.families],
    ["Global_fe80__1_eth0", "fe80::1", "eth0", undefined, [6]],
  );
  const { peers } = configOf({
    peers: { p: { peerIP: "fe80::1%eth0" }, q: { peerIP: "[fe80::1%eth1]:1790" } },
  });
  assert.deepEqual(
    peers.map((peer) => [peer.config.zone, peer.config.port]),
    [
      ["eth0", 179],
      ["eth1", 1790],
    ],
  );
});

test("keepOriginalNextHop counts for eBGP only, nextHopMode for both", () => {
  const modeOf = (spec: BGPPeerSpec) => peerOf(spec).policy.nextHopMode;
  assert.equal(modeOf({ keepOriginalNextHop: true }), "Keep");
  assert.equal(modeOf({ keepOriginalNextHop: true, asNumber: 64512 }), "Auto");
  assert.equal(modeOf({ keepOriginalNextHop: true, localASNumber: 65001 }), "Auto");
  assert.equal(modeOf({ nextHopMode: "Self", asNumber: 64512 }), "Self");
  assert.equal(modeOf({ nextHopMode: "Keep", asNumber: 64512 }), "Keep");
});

test("numAllowedLocalASNumbers is how often our AS may be in a path", () => {
  assert.equal(peerOf({}).policy.allowedLocalAs, 0);
  assert.equal(peerOf({ numAllowedLocalASNumbers: 2 }).policy.allowedLocalAs, 2);
});

test("reachableBy is a route to the peer", () => {
  const peers = {
    p: { peerIP: "10.9.9.9", reachableBy: "10.0.0.254" },
    q: { peerIP: "[fd01::9]:1790", reachableBy: "fd00::fe" },
  };
  assert.deepEqual(configOf({ peers }).hostRoutes, [
    { prefix: "10.9.9.9/32", gateway: "10.0.0.254" },
    { prefix: "fd01::9/128", gateway: "fd00::fe" },
  ]);
  assert.equal(configOf({}).hostRoutes, undefined);
});

test("Annotations ask for BFD: over one hop inside our network, over several elsewhere", () => {
  const bfdOf = (text: string, spec: BGPPeerSpec = {}) =>
    peerOf(spec, { "tortie.dev/bfd": text }).config.bfd;
  const near = { minReceiveMs: 300, minTransmitMs: 300, multiplier: 3, multihop: false };
  assert.deepEqual(bfdOf("300ms x 3"), near);
  assert.deepEqual(bfdOf("300ms x 3", { peerIP: "10.9.9.9" }), { ...near, multihop: true });
  assert.deepEqual(bfdOf("300ms x 3 singlehop", { peerIP: "10.9.9.9" }), near);
  assert.deepEqual(bfdOf("300ms x 3 multihop"), { ...near, multihop: true });
  assert.equal(bfdOf("300ms x 3", { peerIP: "fe80::1%eth0" })?.multihop, false);
});

test("Annotations ask for long-lived graceful restart and a limit of prefixes", () => {
  const { config, policy } = peerOf(
    { peerIP: "fd00::99" },
    { "tortie.dev/long-lived-stale-time": "24h", "tortie.dev/max-prefixes": "1000 restart 5m" },
  );
  assert.equal(config.longLivedStaleSeconds, 86400);
  assert.deepEqual(policy.maxPrefixes, {
    6: { limit: 1000, warnPercent: 75, onExceed: "teardown", restartSeconds: 300 },
  });
  const warned = peerOf({}, { "tortie.dev/max-prefixes": "10 warn" });
  assert.deepEqual(warned.policy.maxPrefixes, {
    4: { limit: 10, warnPercent: 75, onExceed: "warn" },
  });
});

test("extended-next-hop lets a session over IPv6 carry IPv4, and changes none over IPv4", () => {
  const annotation = { "tortie.dev/extended-next-hop": "true" };
  const { families, extendedNextHop } = peerOf({ peerIP: "fd00::99" }, annotation).config;
  assert.deepEqual([families, extendedNextHop], [[4, 6], true]);
  for (const made of [
    peerOf({}, annotation),
    peerOf({ peerIP: "fd00::99" }, { "tortie.dev/extended-next-hop": "false" }),
  ]) {
    assert.equal(made.config.families.length, 1);
    assert.equal(made.config.extendedNextHop, undefined);
  }
});

test("An annotation that cannot be read keeps its peer out, with the reason", () => {
  const peers = { p: { peerIP: "10.9.9.9" } };
  const { peers: made, problems } = configOf({
    peers,
    annotations: { p: { "tortie.dev/bfd": "fast" } },
  });
  assert.deepEqual(made, []);
  assert.match(problems[0] ?? "", /BGPPeer "p": tortie.dev\/bfd must be .* got "fast"/);
});

const passwordRef = { secretKeyRef: { name: "bgp", key: "rack1" } };
const secret = new Secret("s3cret");
const readable: Secrets = new Map([["bgp/rack1", { secret }]]);

test("A password goes to its peer, and never into what is printed", () => {
  const config = configOf(
    { peers: { p: { peerIP: "10.9.9.9", password: passwordRef } } },
    readable,
  );
  assert.equal(config.peers[0]?.config.password?.reveal(), "s3cret");
  assert.ok(!JSON.stringify(config).includes("s3cret"));
});

test("A password that cannot be read keeps its peer down, and no other", () => {
  const peers = { p: { peerIP: "10.9.9.9", password: passwordRef }, q: { peerIP: "10.9.9.8" } };
  for (const [secrets, why] of [
    [new Map([["bgp/rack1", { problem: "no such file" }]]), "no such file"],
    [new Map(), "it was not read"],
  ] as const) {
    const { peers: made, blocked } = configOf({ peers }, secrets);
    assert.deepEqual(
      made.map(({ config }) => config.address),
      ["10.9.9.8"],
    );
    assert.deepEqual(blocked, [
      {
        name: "Global_10_9_9_9",
        type: "GlobalPeer",
        address: "10.9.9.9",
        origin: "BGPPeer p",
        reason: `password "bgp/rack1" cannot be used: ${why}`,
      },
    ]);
  }
});

test("The mesh has a password, that of the cluster's configuration only", () => {
  const nodeMeshPassword = passwordRef;
  const withMesh = (configurations: Readonly<Record<string, BGPConfigurationSpec>>) =>
    configOf({ configurations }, readable).peers[0]?.config.password?.reveal();
  assert.equal(withMesh({ default: { nodeMeshPassword } }), "s3cret");
  assert.equal(withMesh({ "node.a": { nodeMeshPassword } }), undefined);
  const unread = configOf({ configurations: { default: { nodeMeshPassword } } });
  assert.deepEqual([unread.peers.length, unread.blocked.length], [0, 1]);
});

test("secretRefs() tells each secret once, by name", () => {
  const other = { secretKeyRef: { name: "a", key: "k" } };
  const resources = cluster({
    nodes,
    configurations: { default: { nodeMeshPassword: passwordRef } },
    peers: { p: { password: passwordRef }, q: { password: other }, r: {} },
  });
  assert.deepEqual(secretRefs(resources), [other.secretKeyRef, passwordRef.secretKeyRef]);
});

function workload(name: string, node: string, ipNetworks: readonly string[]): WorkloadEndpoint {
  return {
    apiVersion: calicoApiVersion,
    kind: "WorkloadEndpoint",
    metadata: { name, namespace: "default", labels: { role: name } },
    spec: { orchestrator: "k8s", node, endpoint: "eth0", interfaceName: "cali1", ipNetworks },
  };
}

test("localWorkloadSelector makes a passive peer of every local pod that matches", () => {
  const { peers } = configOf({
    peers: {
      p: { localWorkloadSelector: "role in {'router', 'far'}", asNumber: 65100, filters: [] },
      q: { localWorkloadSelector: "all()", asNumber: 65200, node: "b" },
    },
    workloads: [
      workload("router", "a", ["10.65.0.2/32", "10.65.0.3/32", "fd01::2/128"]),
      workload("web", "a", ["10.65.0.4/32"]),
      workload("far", "b", ["10.65.1.2/32"]),
    ],
  });
  assert.deepEqual(
    peers.map(({ type, config: { name, address, remoteAs, passive, localAddress } }) => [
      type,
      name,
      address,
      remoteAs,
      passive,
      localAddress,
    ]),
    [
      ["LocalWorkload", "Local_Workload_10_65_0_2", "10.65.0.2", 65100, true, undefined],
      ["LocalWorkload", "Local_Workload_fd01__2", "fd01::2", 65100, true, undefined],
    ],
  );
});

test("A peerSelector makes no session in a family that one side lacks", () => {
  const config = configOf({ peers: { p: { peerSelector: "all()" } } });
  assert.deepEqual(
    [config.peers.map((peer) => peer.config.address), config.blocked],
    [["10.0.0.2"], []],
  );
});

test("node.NAME replaces some fields of default, each by itself", () => {
  const adverts = (cidr: string, community: string) => [{ cidr, communities: [community] }];
  const cluster1: BGPConfigurationSpec = {
    logSeverityScreen: "Info",
    listenPort: 1790,
    asNumber: 65000,
    communities: [{ name: "bulk", value: "1:1" }],
    prefixAdvertisements: adverts("10.0.0.0/8", "bulk"),
  };
  const given = (own: BGPConfigurationSpec) =>
    configOf({ configurations: { default: cluster1, "node.a": own } });
  const plain = given({});
  assert.deepEqual([plain.logSeverity, plain.listenPort, plain.asn], ["Info", 1790, 65000]);
  const changed = given({
    logSeverityScreen: "Debug",
    asNumber: 65009,
    prefixAdvertisements: adverts("10.1.0.0/16", "bulk"),
  });
  assert.deepEqual([changed.logSeverity, changed.listenPort, changed.asn], ["Debug", 1790, 65000]);
  assert.deepEqual(changed.advertisements.prefixAdvertisements, adverts("10.1.0.0/16", "bulk"));
  assert.deepEqual(changed.problems, []);
  assert.equal(given({ listenPort: 1791 }).listenPort, 1791);
});

test("bindMode NodeIP listens on the node's addresses only", () => {
  const listening = (bindMode: "None" | "NodeIP") =>
    configOf({ configurations: { default: { bindMode } } }).listenAddresses;
  assert.deepEqual(listening("None"), ["0.0.0.0", "::"]);
  assert.deepEqual(listening("NodeIP"), ["10.0.0.1", "fd00::1"]);
});
