import assert from "node:assert/strict";
import { test } from "node:test";
import { ipFromBits } from "../../../../src/lib/ip-addr.ts";
import { parsePrefix, prefixOf } from "../../../../src/lib/prefix.ts";
import { type ClusterSketch, cluster } from "./cluster.ts";
import { connected, Network } from "./network.ts";
import { runningNetwork } from "./running-network.ts";

const mesh3: ClusterSketch = {
  nodes: {
    node1: { ipv4Address: "192.168.1.11/16" },
    node2: { ipv4Address: "192.168.1.12/16" },
    node3: { ipv4Address: "192.168.1.13/16" },
  },
  blocks: {
    "10.244.1.0/26": "node1",
    "10.244.2.0/26": "node2",
    "10.244.3.0/26": "node3",
  },
};

test("A mesh of three: every node routes to every other's block, and its own is a blackhole", () => {
  const network = runningNetwork(mesh3);
  const node1 = network.host("node1");
  assert.equal(node1.routeTo("10.244.1.0/26"), "blackhole");
  assert.equal(node1.routeTo("10.244.2.0/26"), "via 192.168.1.12");
  assert.equal(node1.routeTo("10.244.3.0/26"), "via 192.168.1.13");
  assert.equal(network.host("node3").routeTo("10.244.1.0/26"), "via 192.168.1.11");
  assert.equal(node1.converged, true);
  const route = [...node1.routes.values()].find(({ kind }) => kind === "unicast");
  assert.deepEqual([route?.protocol, route?.priority, route?.table], [12, 1024, 254]);
});

test("A new block is told as soon as the configuration says so", () => {
  const network = runningNetwork(mesh3);
  const blocks = { ...mesh3.blocks, "10.244.1.64/26": "node1" };
  network.configure(cluster({ ...mesh3, blocks }));
  network.settle();
  assert.equal(network.host("node2").routeTo("10.244.1.64/26"), "via 192.168.1.11");
  network.configure(cluster(mesh3));
  network.settle();
  assert.equal(network.host("node2").routeTo("10.244.1.64/26"), undefined);
});

test("Peers of one update group get the same buffer", () => {
  const network = runningNetwork(mesh3);
  const node1 = network.host("node1");
  node1.sent.length = 0;
  network.configure(cluster({ ...mesh3, blocks: { ...mesh3.blocks, "10.244.1.64/26": "node1" } }));
  assert.equal(node1.sent.length, 2);
  assert.equal(node1.sent[0]?.bytes, node1.sent[1]?.bytes);
});

test("An equal configuration sends nothing and changes no route", () => {
  const network = runningNetwork(mesh3);
  const node1 = network.host("node1");
  const before = new Map(node1.routes);
  node1.sent.length = 0;
  network.configure(cluster(mesh3));
  network.settle();
  assert.equal(node1.sent.length, 0);
  assert.deepEqual(node1.routes, before);
});

test("Without the mesh its sessions and their routes go, own blocks stay", () => {
  const network = runningNetwork(mesh3);
  const configurations = { default: { nodeToNodeMeshEnabled: false } };
  network.configure(cluster({ ...mesh3, configurations }));
  network.settle();
  const node1 = network.host("node1");
  for (let i = 0; i < 2; i++) network.expire("node1", "retire");
  assert.deepEqual(node1.peers, []);
  assert.deepEqual([...node1.routes.keys()], ["10.244.1.0/26"]);
});

test("A peer that restarts gracefully keeps its routes, twice in a row, until End-of-RIB", () => {
  const network = runningNetwork(mesh3);
  const node1 = network.host("node1");
  for (let restart = 0; restart < 2; restart++) {
    network.cut("node1", "node2", true);
    assert.equal(node1.routeTo("10.244.2.0/26"), "via 192.168.1.12");
    assert.equal(node1.timers.get("stale Mesh_192_168_1_12"), 120);
  }
  // It comes back without one of its blocks: what is stale goes with End-of-RIB.
  const { "10.244.2.0/26": _gone, ...blocks } = mesh3.blocks ?? {};
  network.configure(cluster({ ...mesh3, blocks }));
  network.settle();
  assert.equal(node1.routeTo("10.244.2.0/26"), "via 192.168.1.12");
  network.connect();
  assert.equal(node1.routeTo("10.244.2.0/26"), undefined);
  assert.equal(node1.timers.has("stale Mesh_192_168_1_12"), false);
});

test("Stale routes go when the restart timer expires", () => {
  const network = runningNetwork(mesh3);
  const node1 = network.host("node1");
  network.cut("node1", "node2", true);
  node1.post({ kind: "timerExpired", timer: "stale Mesh_192_168_1_12" });
  network.settle();
  assert.equal(node1.routeTo("10.244.2.0/26"), undefined);
  assert.equal(node1.routeTo("10.244.3.0/26"), "via 192.168.1.13");
});

test("A peer that goes down for good takes its routes along at once", () => {
  const network = runningNetwork(mesh3);
  network.cut("node1", "node2", false);
  assert.equal(network.host("node1").routeTo("10.244.2.0/26"), undefined);
});

test("A peer that lost its forwarding state loses its stale routes when it is back", () => {
  const network = runningNetwork(mesh3);
  const node1 = network.host("node1");
  network.cut("node1", "node2", true);
  network.establish({ forwardingKept: false });
  node1.post({ kind: "flush" });
  assert.equal(node1.routeTo("10.244.2.0/26"), undefined);
  network.settle();
  assert.equal(node1.routeTo("10.244.2.0/26"), "via 192.168.1.12");
});

test("A stale route that is told again is stale no more", () => {
  const network = runningNetwork(mesh3);
  const node1 = network.host("node1");
  network.cut("node1", "node2", true);
  network.connect();
  node1.post({ kind: "timerExpired", timer: "stale Mesh_192_168_1_12" });
  network.settle();
  assert.equal(node1.routeTo("10.244.2.0/26"), "via 192.168.1.12");
});

test("A session that is new without the old one's end is told all, once", () => {
  const network = runningNetwork(mesh3);
  const node1 = network.host("node1");
  const name = "Mesh_192_168_1_12";
  const negotiated = node1.speaker.peers.get(name)?.negotiated;
  assert.ok(negotiated !== undefined);
  const localAddress = "192.168.1.99" as typeof node1.address;
  const again = { ...negotiated, localAddress };
  node1.post({ kind: "peer", event: { kind: "established", name, negotiated: again } });
  network.settle();
  node1.sent.length = 0;
  network.configure(cluster({ ...mesh3, blocks: { ...mesh3.blocks, "10.244.1.64/26": "node1" } }));
  network.settle();
  assert.equal(node1.sent.filter((send) => send.name === name).length, 1);
});

test("Communities go to the routes that prefixAdvertisements cover", () => {
  const configurations = {
    default: {
      communities: [{ name: "blue", value: "64512:7" }],
      prefixAdvertisements: [{ cidr: "10.244.1.64/26", communities: ["blue", "1:2:3"] }],
    },
  };
  const blocks = { ...mesh3.blocks, "10.244.1.64/26": "node1" };
  const network = runningNetwork({ ...mesh3, blocks, configurations });
  const { rib } = network.host("node2").speaker.families[4];
  const attributesOf = (prefix: string) => {
    const best = rib.loc.get(rib.table.findPrefix(parsePrefix(prefix)));
    assert.ok(best !== undefined);
    return network.host("node2").speaker.attributes.get(best.attributesId).attributes;
  };
  assert.equal(attributesOf("10.244.1.0/26").communities, undefined);
  assert.deepEqual(attributesOf("10.244.1.64/26").communities, [64512 * 65536 + 7]);
  assert.deepEqual(attributesOf("10.244.1.64/26").largeCommunities, [[1, 2, 3]]);
});

test("Of one route by two reflectors, that with the lower originator and shorter way wins", () => {
  const reflector = { routeReflectorClusterID: "1.0.0.1" };
  const network = runningNetwork({
    ...mesh3,
    nodes: {
      ...mesh3.nodes,
      node3: { ipv4Address: "192.168.1.13/16", ...reflector },
      node4: { ipv4Address: "192.168.1.14/16", ...reflector },
    },
    labels: { node3: { rr: "true" }, node4: { rr: "true" } },
    configurations: { default: { nodeToNodeMeshEnabled: false } },
    peers: { rr: { nodeSelector: "all()", peerSelector: "rr == 'true'" } },
  });
  const node1 = network.host("node1");
  // ORIGINATOR_ID is the same, so neither router ID decides but the peers' addresses.
  assert.deepEqual(node1.verdicts("10.244.2.0/26"), {
    Node_192_168_1_13: "best",
    Node_192_168_1_14: "lost: peer-address",
  });
  assert.equal(node1.routeTo("10.244.2.0/26"), "via 192.168.1.12");
});

test("A start has converged after the End-of-RIB of all peers, or after 120 s", () => {
  const network = new Network();
  for (const host of [11, 12, 13]) network.add(`node${host - 10}`, `192.168.1.${host}`);
  network.configure(cluster(mesh3));
  const node1 = network.host("node1");
  assert.equal(node1.converged, false);
  assert.equal(node1.timers.get("convergence"), 120);
  // Own routes wait for nothing.
  assert.equal(node1.routeTo("10.244.1.0/26"), "blackhole");
  network.connect();
  assert.equal(node1.converged, true);

  const alone = new Network();
  const host = alone.add("node1", "192.168.1.11");
  alone.configure(cluster(mesh3));
  host.post({ kind: "timerExpired", timer: "convergence" });
  assert.equal(host.converged, true);
});

test("A route reflector passes on what its clients tell, and they route past it", () => {
  const network = runningNetwork({
    ...mesh3,
    nodes: {
      ...mesh3.nodes,
      node3: { ipv4Address: "192.168.1.13/16", routeReflectorClusterID: "1.0.0.1" },
    },
    labels: { node3: { rr: "true" } },
    configurations: { default: { nodeToNodeMeshEnabled: false } },
    peers: { rr: { nodeSelector: "all()", peerSelector: "rr == 'true'" } },
  });
  const [node1, node3] = [network.host("node1"), network.host("node3")];
  assert.equal(node1.peers.length, 1);
  assert.equal(node1.routeTo("10.244.2.0/26"), "via 192.168.1.12");
  assert.equal(node1.routeTo("10.244.3.0/26"), "via 192.168.1.13");
  // Nothing comes back to the client that told it.
  assert.deepEqual(node1.verdicts("10.244.1.0/26"), { local: "best" });
  assert.equal(node3.routeTo("10.244.1.0/26"), "via 192.168.1.11");
});

test("A top-of-rack router that hears of a block from all nodes prefers its owner", () => {
  const peers = { tor: { peerIP: "192.168.1.1", asNumber: 64999 } };
  const network = new Network();
  // The owner has the greatest router ID: without MED the lowest would win.
  for (const host of [11, 12, 13]) network.add(`node${host - 10}`, `192.168.1.${host}`);
  network.configure(cluster({ ...mesh3, peers }));
  const tor = network.add("tor", "192.168.1.1");
  tor.post({ kind: "configured", config: torConfig() });
  network.connect();
  assert.equal(tor.routeTo("10.244.3.0/26"), "via 192.168.1.13");
  assert.deepEqual(tor.verdicts("10.244.3.0/26"), {
    Global_192_168_1_11: "lost: med",
    Global_192_168_1_12: "lost: med",
    Global_192_168_1_13: "best",
  });
});

/** A router of AS 64999 that peers with the three nodes. */
function torConfig() {
  const peers = Object.fromEntries(
    [11, 12, 13].map((host) => [`n${host}`, { peerIP: `192.168.1.${host}`, asNumber: 64512 }]),
  );
  const nodes = { tor: { ipv4Address: "192.168.1.1/16", asNumber: 64999 } };
  const network = new Network();
  const tor = network.add("tor", "192.168.1.1");
  network.configure(cluster({ nodes, peers }));
  assert.ok(tor.speaker.config !== undefined);
  return tor.speaker.config;
}

test("A route whose next hop is not reachable is not used until it is", () => {
  const network = runningNetwork(mesh3);
  const node1 = network.host("node1");
  node1.post({ kind: "nextHops", nextHops: connected(node1.address, "172.16.0.0/16") });
  network.settle();
  assert.equal(node1.routeTo("10.244.2.0/26"), undefined);
  assert.deepEqual(node1.verdicts("10.244.2.0/26"), {
    Mesh_192_168_1_12: "rejected: next-hop-unreachable",
  });
  node1.post({ kind: "nextHops", nextHops: connected(node1.address, "192.168.0.0/16") });
  network.settle();
  assert.equal(node1.routeTo("10.244.2.0/26"), "via 192.168.1.12");
});

test("A slow peer gets nothing until it has drained, then what has changed meanwhile", () => {
  const network = runningNetwork(mesh3);
  const [node1, node2] = [network.host("node1"), network.host("node2")];
  const name = "Mesh_192_168_1_12";
  node1.post({ kind: "blocked", name });
  node1.sent.length = 0;
  for (let i = 0; i < 20; i++) {
    const block = i === 19 ? {} : { [`10.244.5.${i * 8}/29`]: "node1" };
    network.configure(cluster({ ...mesh3, blocks: { ...mesh3.blocks, ...block } }));
  }
  network.configure(cluster({ ...mesh3, blocks: { "10.244.7.0/26": "node1" } }));
  network.settle();
  assert.equal(node1.sent.filter((send) => send.name === name).length, 0);
  assert.equal(node2.routeTo("10.244.1.0/26"), "via 192.168.1.11");
  node1.post({ kind: "peer", event: { kind: "drained", name } });
  network.settle();
  assert.equal(node2.routeTo("10.244.1.0/26"), undefined);
  assert.equal(node2.routeTo("10.244.7.0/26"), "via 192.168.1.11");
  assert.equal(node2.routeTo("10.244.5.0/29"), undefined);
});

test("Ten thousand routes go in full messages, and nothing is left when they are gone", () => {
  const network = runningNetwork(mesh3);
  const [node1, node2] = [network.host("node1"), network.host("node2")];
  const blocks = Object.fromEntries(
    Array.from({ length: 10_000 }, (_, i) => [
      prefixOf(ipFromBits(0x0af40000n + BigInt(i) * 4n, 4), 30),
      "node1",
    ]),
  );
  node1.sent.length = 0;
  network.configure(cluster({ ...mesh3, blocks }));
  network.settle();
  assert.equal(node2.speaker.families[4].rib.loc.size, 10_000);
  assert.ok((node1.sent[0]?.bytes.length ?? 0) < 10_000 * 5 + 20 * 100);
  network.configure(cluster({ ...mesh3, blocks: {} }));
  network.settle();
  for (const host of network.hosts.values()) {
    assert.equal(host.speaker.families[4].rib.table.size, 0);
    assert.equal(host.speaker.attributes.size, 0);
    assert.equal(host.routes.size, 0);
  }
});

test("Route refresh sends the whole table again", () => {
  const network = runningNetwork(mesh3);
  const node1 = network.host("node1");
  node1.sent.length = 0;
  const event = { kind: "refreshRequested", name: "Mesh_192_168_1_12", family: 4 } as const;
  node1.post({ kind: "peer", event });
  network.settle();
  assert.equal(node1.sent.length, 1);
});

test("A pool that becomes tunneled loses its routes of protocol 12, but stays announced", () => {
  const network = runningNetwork(mesh3);
  network.configure(cluster({ ...mesh3, pools: [{ cidr: "10.244.0.0/16", vxlanMode: "Always" }] }));
  network.settle();
  const node1 = network.host("node1");
  assert.equal(node1.routes.size, 0);
  assert.deepEqual(node1.verdicts("10.244.2.0/26"), { Mesh_192_168_1_12: "best" });
});
