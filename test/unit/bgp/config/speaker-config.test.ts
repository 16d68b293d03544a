import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import { calicoApiVersion } from "../../../../src/api/meta.ts";
import type { BGPPeerSpec } from "../../../../src/api/resources/bgp.ts";
import { type SpeakerConfig, speakerConfig } from "../../../../src/bgp/config/speaker-config.ts";
import { type ClusterSketch, cluster } from "../speaker/cluster.ts";

const nodes: ClusterSketch["nodes"] = {
  a: { ipv4Address: "10.0.0.9/24" },
  b: { ipv4Address: "10.0.0.10/24", ipv6Address: "fd00::10/64" },
  c: { ipv4Address: "10.0.0.11/24", ipv6Address: "fd00::11/64", asNumber: "1.10" },
};

function configOf(name: string, sketch: Partial<ClusterSketch> = {}): SpeakerConfig {
  const config = speakerConfig(cluster({ nodes, ...sketch }), name);
  assert.ok(config !== undefined);
  return config;
}

const noMesh = { default: { nodeToNodeMeshEnabled: false } };

function withPeers(peers: Readonly<Record<string, BGPPeerSpec>>): Partial<ClusterSketch> {
  return { configurations: noMesh, peers };
}

const brief = ({ peers }: SpeakerConfig) =>
  peers.map(({ config }) => [config.name, config.remoteAs, config.passive]);

test("The mesh has a session with every other node and family, and one end of each waits", () => {
  // Addresses are compared as text: 10.0.0.9 is greater than 10.0.0.10.
  assert.deepEqual(brief(configOf("a")), [
    ["Mesh_10_0_0_10", 64512, false],
    ["Mesh_10_0_0_11", 65546, false],
  ]);
  assert.deepEqual(brief(configOf("b")), [
    ["Mesh_10_0_0_11", 65546, true],
    ["Mesh_10_0_0_9", 64512, true],
    ["Mesh_fd00__11", 65546, true],
  ]);
});

test("A mesh session is proposed with our timers, from the node's address", () => {
  const [peer] = configOf("a").peers;
  assert.deepEqual(peer, {
    type: "NodeMesh",
    origin: "mesh",
    policy: { nextHopMode: "Auto", allowedLocalAs: 0 },
    config: {
      name: "Mesh_10_0_0_10",
      address: "10.0.0.10",
      port: 179,
      remoteAs: 64512,
      localAs: 64512,
      localRouterId: 0x0a000009,
      localAddress: "10.0.0.9",
      passive: false,
      holdSeconds: 90,
      connectRetrySeconds: 5,
      gracefulRestartSeconds: 120,
      families: [4],
    },
  });
});

test("Route reflectors are not in the mesh", () => {
  const reflector = { ipv4Address: "10.0.0.11/24", routeReflectorClusterID: "1.0.0.1" };
  const sketch = { nodes: { ...nodes, c: reflector } };
  assert.deepEqual(
    brief(configOf("a", sketch)).map(([name]) => name),
    ["Mesh_10_0_0_10"],
  );
  assert.deepEqual(configOf("c", sketch).peers, []);
});

test("Ports come from the peer's node, else from the cluster", () => {
  const configurations = { default: { listenPort: 1790 }, "node.b": { listenPort: 1791 } };
  const { peers, listenPort } = configOf("a", { configurations });
  assert.equal(listenPort, 1790);
  assert.deepEqual(
    peers.map(({ config }) => config.port),
    [1791, 1790],
  );
  assert.equal(configOf("b", { configurations }).listenPort, 1791);
});

test("A global peer is on every node, and a node-specific one only where its node matches", () => {
  const sketch = {
    ...withPeers({
      all: { peerIP: "10.9.9.9", asNumber: 65001 },
      one: { node: "a", peerIP: "10.9.9.8:1790", asNumber: 65002 },
      some: { nodeSelector: "rack == '1'", peerIP: "10.9.9.7" },
    }),
    labels: { b: { rack: "1" } },
  };
  assert.deepEqual(brief(configOf("a", sketch)), [
    ["Global_10_9_9_9", 65001, false],
    ["Node_10_9_9_8_port_1790", 65002, false],
  ]);
  assert.deepEqual(brief(configOf("b", sketch)), [
    ["Global_10_9_9_9", 65001, false],
    ["Node_10_9_9_7", 64512, false],
  ]);
});

test("A peerSelector makes sessions in both families, and back from the nodes that it selects", () => {
  const sketch = {
    ...withPeers({ rr: { node: "b", peerSelector: "rr == 'true'" } }),
    labels: { c: { rr: "true" } },
  };
  const names = (name: string) => brief(configOf(name, sketch)).map(([session]) => session);
  assert.deepEqual(names("b"), ["Node_10_0_0_11", "Node_fd00__11"]);
  assert.deepEqual(names("c"), ["Node_10_0_0_10", "Node_fd00__10"]);
  assert.deepEqual(names("a"), []);
  const manual = {
    ...sketch,
    peers: { rr: { ...sketch.peers?.["rr"], reversePeering: "Manual" } },
  };
  assert.deepEqual(configOf("c", manual as Partial<ClusterSketch>).peers, []);
});

test("A peerIP that is a node's gives a session back from that node", () => {
  const sketch = withPeers({ x: { node: "a", peerIP: "10.0.0.10" } });
  assert.deepEqual(brief(configOf("b", sketch)), [["Node_10_0_0_9", 64512, false]]);
  const otherAs = withPeers({ x: { node: "a", peerIP: "10.0.0.10", asNumber: 65009 } });
  assert.deepEqual(configOf("b", otherAs).peers, []);
});

test("A node never peers with itself, and an explicit peer is not overwritten by a reverse one", () => {
  const sketch = withPeers({
    a: { peerSelector: "all()", keepaliveTime: "7s" },
    z: { peerIP: "10.0.0.9", localASNumber: 65100 },
  });
  const { peers } = configOf("a", sketch);
  assert.deepEqual(
    peers.map(({ config }) => [config.name, config.keepaliveSeconds, config.localAs]),
    [
      ["Global_10_0_0_10", 7, 64512],
      ["Global_10_0_0_11", 7, 64512],
    ],
  );
});

test("A reflector's iBGP peers are clients unless they are of its cluster", () => {
  const reflector = (address: string, id: string) => ({
    ipv4Address: address,
    routeReflectorClusterID: id,
  });
  const { peers } = configOf("r", {
    ...withPeers({ all: { nodeSelector: "all()", peerSelector: "all()" } }),
    nodes: {
      ...nodes,
      r: reflector("10.0.0.1/24", "1.0.0.1"),
      same: reflector("10.0.0.2/24", "1.0.0.1"),
      other: reflector("10.0.0.3/24", "1.0.0.2"),
    },
  });
  const clients = peers.filter(({ config }) => config.reflectorClient?.clusterId === 0x01000001);
  assert.deepEqual(
    clients.map(({ config }) => config.address),
    ["10.0.0.10", "10.0.0.3", "10.0.0.9"],
  );
});

test("One address has one session: the mesh's before a global, before a node's", () => {
  const { peers, blocked } = configOf("a", { peers: { dup: { peerIP: "10.0.0.10" } } });
  assert.equal(peers.length, 2);
  assert.deepEqual(
    blocked.map(({ name, reason }) => [name, reason]),
    [["Global_10_0_0_10", "Mesh_10_0_0_10 is with the same address"]],
  );
});

test("What cannot be read is left out and told of", () => {
  const config = configOf("a", {
    nodes: { ...nodes, bad: { ipv4Address: "nonsense" } },
    peers: {
      p: { peerSelector: "((" },
      q: { peerIP: "10.9.9.9:99999" },
      r: { localWorkloadSelector: "all()" },
      s: { peerIP: "fe80::1" },
    },
    pools: [{ cidr: "10.244.0.1/16" }],
    configurations: {
      default: { prefixAdvertisements: [{ cidr: "10.0.0.0/8", communities: ["x"] }] },
    },
  });
  assert.equal(config.peers.length, 2);
  const problems = config.problems.join("\n");
  for (const name of [
    'Node "bad"',
    'BGPPeer "p"',
    'BGPPeer "q"',
    'BGPPeer "r"',
    'BGPPeer "s"',
    'IPPool "pool0"',
  ]) {
    assert.ok(problems.includes(name), name);
  }
  assert.match(problems, /prefixAdvertisements: Cannot parse community "x"/);
  assert.equal(config.problems.length, 7);
});

test("Blocks: confirmed and empty are ours, pending is not yet, one to be deleted is only told", () => {
  const { originated, confirmedBlocks } = configOf("a", {
    blocks: {
      "10.244.1.0/26": "a",
      "10.244.2.0/26": ["a", ""],
      "10.244.3.0/26": ["a", "pending"],
      "10.244.4.0/26": ["a", "pendingDeletion"],
      "10.244.5.0/26": "b",
    },
  });
  assert.deepEqual(originated, ["10.244.1.0/26", "10.244.2.0/26", "10.244.4.0/26"]);
  assert.deepEqual(confirmedBlocks, ["10.244.1.0/26", "10.244.2.0/26"]);
});

test("The router ID is the IPv4 address, CALICO_ROUTER_ID, or a hash", () => {
  const idOf = (name: string, env = {}) => speakerConfig(cluster({ nodes }), name, env)?.routerId;
  assert.equal(idOf("a"), 0x0a000009);
  assert.equal(idOf("a", { CALICO_ROUTER_ID: "1.2.3.4" }), 0x01020304);
  const digest = hash("sha256", "a", "buffer");
  const first = digest[0] as number;
  digest[0] = first > 223 ? first - 32 : first;
  assert.equal(idOf("a", { CALICO_ROUTER_ID: "hash" }), digest.readUInt32BE(0));
});

test("Who programs which pools follows both programClusterRoutes; what is nobody's or both's is said", () => {
  const pools = [{ cidr: "10.1.0.0/16" }, { cidr: "10.2.0.0/16", ipipMode: "Always" as const }];
  const owns = (bgp: string | undefined, felix: string | undefined, env = {}) => {
    const given = cluster({
      nodes,
      pools,
      configurations: bgp === undefined ? {} : { default: { programClusterRoutes: bgp as never } },
      ...(felix === undefined ? {} : { felix: { programClusterRoutes: felix } }),
    });
    const { programs, problems } = speakerConfig(given, "a", env) as SpeakerConfig;
    return [programs.join(" "), ...problems.map((text) => text.replace(/^.*: /, ""))];
  };
  const both = (pool: string) => `felix alone programs, not bgp, the routes of ${pool} pools`;
  const nobody = (pool: string) => `nobody programs the routes of ${pool} pools`;
  assert.deepEqual(owns(undefined, undefined), ["noEncap"]);
  assert.deepEqual(owns("Enabled", "Disabled"), ["ipip noEncap"]);
  assert.deepEqual(owns("EnabledIPIPOnly", "EnabledNoEncapOnly"), ["ipip"]);
  assert.deepEqual(owns("Disabled", "Enabled"), [""]);
  assert.deepEqual(owns("Enabled", "EnabledIPIPOnly"), ["noEncap", both("IPIP")]);
  assert.deepEqual(owns(undefined, "Enabled"), ["", both("unencapsulated")]);
  assert.deepEqual(owns(undefined, "Disabled"), ["noEncap", nobody("IPIP")]);
  assert.deepEqual(owns("Disabled", undefined), ["", nobody("unencapsulated")]);
  assert.deepEqual(owns("Enabled", "No such word"), ["noEncap", both("IPIP")]);
  const env = { FELIX_PROGRAMCLUSTERROUTES: "disabled" };
  assert.deepEqual(owns("Enabled", "Enabled", env), ["ipip noEncap"]);
});

test("A FelixConfiguration that selects this node says what felix programs here", () => {
  const given = cluster({
    nodes,
    labels: { a: { zone: "x" } },
    configurations: { default: { programClusterRoutes: "Enabled" } },
  });
  const felixConfigurations = new Map([
    [
      "x",
      {
        apiVersion: calicoApiVersion,
        kind: "FelixConfiguration" as const,
        metadata: { name: "x" },
        spec: { nodeSelector: "zone == 'x'", programClusterRoutes: "Disabled" },
      },
    ],
  ]);
  const programs = (name: string) =>
    speakerConfig({ ...given, felixConfigurations }, name)?.programs;
  assert.deepEqual(programs("a"), ["ipip", "noEncap"]);
  assert.deepEqual(programs("b"), ["noEncap"]);
});

test("A tunnel address that lies in another's block is announced for itself, one of an own block not", () => {
  const originated = (address: string) =>
    configOf("a", {
      nodes: { ...nodes, a: { ipv4Address: "10.0.0.9/24", ipv4IPIPTunnelAddr: address } },
      blocks: { "10.244.1.0/26": "a", "10.244.2.0/26": "b" },
    }).originated;
  assert.deepEqual(originated("10.244.1.9"), ["10.244.1.0/26"]);
  assert.deepEqual(originated("10.244.2.9"), ["10.244.1.0/26", "10.244.2.9/32"]);
  assert.deepEqual(originated("172.16.0.1"), ["10.244.1.0/26"]);
});

test("A node without BGP identity has no speaker", () => {
  assert.equal(speakerConfig(cluster({ nodes: { ...nodes, d: undefined } }), "d"), undefined);
  assert.equal(speakerConfig(cluster({ nodes }), "nobody"), undefined);
});

test("The answer does not depend on the order of the objects", () => {
  const reversed = Object.fromEntries(Object.entries(nodes).reverse());
  assert.deepEqual(configOf("b", { nodes: reversed }), configOf("b"));
});
