import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePrefix } from "../../../../src/lib/prefix.ts";
import { type ClusterSketch, cluster } from "./cluster.ts";
import { Network } from "./network.ts";
import { runningNetwork } from "./running-network.ts";

/** node3 reflects what node1 and node2 tell; node4 is a client that may know less than they. */
const sketch: ClusterSketch = {
  nodes: {
    node1: { ipv4Address: "192.168.1.11/16" },
    node2: { ipv4Address: "192.168.1.12/16" },
    node3: { ipv4Address: "192.168.1.13/16", routeReflectorClusterID: "1.0.0.1" },
    node4: { ipv4Address: "192.168.1.14/16" },
  },
  labels: { node3: { rr: "true" } },
  configurations: { default: { nodeToNodeMeshEnabled: false } },
  peers: { rr: { nodeSelector: "all()", peerSelector: "rr == 'true'" } },
  blocks: { "10.244.1.0/26": "node1", "10.244.2.0/26": "node2" },
};

const longLived = { longLivedSeconds: 600 };
const staleCommunity = 0xffff0006;

function reflected(options: Parameters<Network["connect"]>[0] = longLived): Network {
  return runningNetwork(sketch, options);
}

/** The session is lost, and the Restart Time goes by. */
function loseForLong(network: Network, one: string, two: string): void {
  network.cut(one, two, true);
  network.expire(two, `stale ${network.sessionName(two, one)}`);
}

function communities(network: Network, at: string, prefix: string): readonly number[] | undefined {
  const { speaker } = network.host(at);
  const { rib } = speaker.families[4];
  const best = rib.loc.get(rib.table.findPrefix(parsePrefix(prefix)));
  return best && (speaker.attributes.get(best.attributesId).attributes.communities ?? []);
}

test("After the Restart Time routes stay for the Long-lived Stale Time, marked for all who hear", () => {
  const network = reflected();
  const node3 = network.host("node3");
  network.cut("node1", "node3", true);
  assert.deepEqual(communities(network, "node3", "10.244.1.0/26"), []);
  network.expire("node3", "stale Node_192_168_1_11");
  assert.equal(node3.timers.get("longLived Node_192_168_1_11 4"), 600);
  assert.deepEqual(communities(network, "node3", "10.244.1.0/26"), [staleCommunity]);
  assert.deepEqual(communities(network, "node2", "10.244.1.0/26"), [staleCommunity]);
  assert.equal(network.host("node2").routeTo("10.244.1.0/26"), "via 192.168.1.11");
  network.expire("node3", "longLived Node_192_168_1_11 4");
  assert.equal(node3.routeTo("10.244.1.0/26"), undefined);
  assert.equal(network.host("node2").routeTo("10.244.1.0/26"), undefined);
  assert.equal(node3.routeTo("10.244.2.0/26"), "via 192.168.1.12");
});

test("A peer without long-lived graceful restart is not told of such routes", () => {
  const network = reflected();
  network.cut("node4", "node3", false);
  network.connect({});
  assert.equal(network.host("node4").routeTo("10.244.1.0/26"), "via 192.168.1.11");
  loseForLong(network, "node1", "node3");
  assert.equal(network.host("node4").routeTo("10.244.1.0/26"), undefined);
  assert.equal(network.host("node2").routeTo("10.244.1.0/26"), "via 192.168.1.11");
});

test("A route that carries NO_LLGR is not kept", () => {
  const network = new Network();
  for (const [name, host] of [
    ["node1", 11],
    ["node3", 13],
  ] as const) {
    network.add(name, `192.168.1.${host}`);
  }
  const prefixAdvertisements = [{ cidr: "10.244.1.0/26", communities: ["65535:7"] }];
  const blocks = { ...sketch.blocks, "10.244.1.64/26": "node1" };
  const configurations = { default: { nodeToNodeMeshEnabled: false, prefixAdvertisements } };
  network.configure(cluster({ ...sketch, blocks, configurations }));
  network.connect(longLived);
  loseForLong(network, "node1", "node3");
  assert.equal(network.host("node3").routeTo("10.244.1.0/26"), undefined);
  assert.equal(network.host("node3").routeTo("10.244.1.64/26"), "via 192.168.1.11");
});

test("Of two paths the one that is stale for long is the worse, whatever its preference", () => {
  const network = new Network();
  for (const host of [11, 12, 13]) network.add(`node${host - 10}`, `192.168.1.${host}`);
  const nodes = Object.fromEntries(
    [11, 12, 13].map((host) => [`node${host - 10}`, { ipv4Address: `192.168.1.${host}/16` }]),
  );
  network.configure(cluster({ nodes, blocks: { "10.244.1.0/26": "node1" } }));
  network.connect(longLived);
  // node2 tells the same block with a lower preference.
  const config = network.host("node2").speaker.config;
  assert.ok(config !== undefined);
  const prefix = parsePrefix("10.244.1.0/26");
  const originatedRoutes = [{ prefix, nextHop: "self" as const, communities: [], localPref: 1 }];
  network.host("node2").post({ kind: "configured", config: { ...config, originatedRoutes } });
  network.settle();
  const node3 = network.host("node3");
  assert.deepEqual(node3.verdicts("10.244.1.0/26"), {
    Mesh_192_168_1_11: "best",
    Mesh_192_168_1_12: "lost: local-pref",
  });
  loseForLong(network, "node1", "node3");
  assert.deepEqual(node3.verdicts("10.244.1.0/26"), {
    Mesh_192_168_1_11: "lost: long-lived-stale",
    Mesh_192_168_1_12: "best",
  });
});

test("A second loss neither drops what is stale for long nor gives it more time", () => {
  const network = reflected();
  const node3 = network.host("node3");
  loseForLong(network, "node1", "node3");
  node3.timers.set("longLived Node_192_168_1_11 4", 5);
  network.establish(longLived);
  network.cut("node1", "node3", true);
  assert.equal(node3.routeTo("10.244.1.0/26"), "via 192.168.1.11");
  network.expire("node3", "stale Node_192_168_1_11");
  assert.equal(node3.routeTo("10.244.1.0/26"), "via 192.168.1.11");
  assert.equal(node3.timers.get("longLived Node_192_168_1_11 4"), 5);
});

test("A session that is back ends it with End-of-RIB: the routes are as good as new", () => {
  const network = reflected();
  const node3 = network.host("node3");
  loseForLong(network, "node1", "node3");
  network.connect(longLived);
  assert.deepEqual(communities(network, "node3", "10.244.1.0/26"), []);
  assert.equal(node3.timers.has("longLived Node_192_168_1_11 4"), false);
});

test("A session that is back without its forwarding state takes the long-lived routes along", () => {
  const network = reflected();
  loseForLong(network, "node1", "node3");
  network.establish({ ...longLived, forwardingKept: false });
  network.host("node3").post({ kind: "flush" });
  assert.equal(network.host("node3").routeTo("10.244.1.0/26"), undefined);
});

test("A Restart Time of 0 makes routes long-lived at once", () => {
  const network = reflected({ ...longLived, restartSeconds: 0 });
  network.cut("node1", "node3", true);
  assert.deepEqual(communities(network, "node3", "10.244.1.0/26"), [staleCommunity]);
  assert.equal(network.host("node3").timers.has("stale Node_192_168_1_11"), false);
});

test("A peer that is configured no more leaves no timer behind", () => {
  const network = reflected();
  loseForLong(network, "node1", "node3");
  network.configure(cluster({ ...sketch, peers: {} }));
  network.settle();
  for (let i = 0; i < 2; i++) network.expire("node3", "retire");
  assert.deepEqual(
    [...network.host("node3").timers.keys()].filter((timer) => timer !== "convergence"),
    [],
  );
});
