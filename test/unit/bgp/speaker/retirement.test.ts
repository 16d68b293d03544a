import assert from "node:assert/strict";
import { test } from "node:test";
import { type ClusterSketch, cluster } from "./cluster.ts";
import { Network } from "./network.ts";
import { runningNetwork } from "./running-network.ts";

const nodes: ClusterSketch["nodes"] = {
  node1: { ipv4Address: "192.168.1.11/16" },
  node2: { ipv4Address: "192.168.1.12/16" },
  node3: { ipv4Address: "192.168.1.13/16" },
};
const blocks = { "10.244.1.0/26": "node1", "10.244.2.0/26": "node2", "10.244.3.0/26": "node3" };
const mesh: ClusterSketch = { nodes, blocks };
const reflectors: ClusterSketch = {
  blocks,
  nodes: {
    ...nodes,
    node3: { ipv4Address: "192.168.1.13/16", routeReflectorClusterID: "1.0.0.1" },
  },
  labels: { node3: { rr: "true" } },
  configurations: { default: { nodeToNodeMeshEnabled: false } },
  peers: { rr: { nodeSelector: "all()", peerSelector: "rr == 'true'" } },
};

function meshed(): Network {
  return runningNetwork(mesh);
}

function assertAllReach(network: Network, when: string): void {
  for (const name of Object.keys(nodes)) {
    for (const [block, owner] of Object.entries(blocks)) {
      if (owner === name) continue;
      const gateway = network.host(owner).address;
      assert.equal(network.host(name).routeTo(block), `via ${gateway}`, `${name}, ${when}`);
    }
  }
}

function tick(network: Network, ...names: readonly string[]): void {
  for (const name of names) {
    if (network.host(name).timers.has("retire")) network.expire(name, "retire");
  }
}

test("From the mesh to reflectors at once: no route is lost at any step", () => {
  const network = meshed();
  network.configure(cluster(reflectors));
  network.settle();
  assertAllReach(network, "configured");
  for (let i = 0; i < 3; i++) tick(network, "node1", "node2");
  assertAllReach(network, "while the reflector is not there");
  // The reflector's session with node1 alone tells node1 nothing of node2.
  network.connect({ only: ["node1", "node3"] });
  tick(network, "node1", "node2");
  assertAllReach(network, "with half of the new sessions");
  network.connect();
  assertAllReach(network, "with the new sessions");
  tick(network, "node1", "node2");
  assertAllReach(network, "after the mesh");
  for (const name of ["node1", "node2"]) {
    const host = network.host(name);
    assert.deepEqual(
      host.peers.map((peer) => peer.name),
      ["Node_192_168_1_13"],
    );
    assert.equal(host.timers.has("retire"), false);
  }
});

test("What a session that goes has told is the least preferred", () => {
  const network = meshed();
  network.configure(cluster(reflectors));
  network.connect();
  assert.deepEqual(network.host("node1").verdicts("10.244.2.0/26"), {
    Mesh_192_168_1_12: "lost: local-pref",
    Node_192_168_1_13: "best",
  });
});

test("The end of a session that was replaced leaves the other end its routes", () => {
  const network = meshed();
  network.configure(cluster(reflectors));
  network.connect();
  tick(network, "node1");
  assert.deepEqual(network.host("node1").resets, ["Mesh_192_168_1_12 6"]);
});

test("Back to the mesh: no route is lost at any step", () => {
  const network = meshed();
  network.configure(cluster(reflectors));
  network.connect();
  tick(network, "node1", "node2");
  network.configure(cluster(mesh));
  network.settle();
  assertAllReach(network, "configured");
  // What was the reflector ends its RIB without what it has reflected.
  network.connect({ only: ["node1", "node3"] });
  assertAllReach(network, "with half of the new sessions");
  network.connect();
  assertAllReach(network, "with the new sessions");
  tick(network, "node1", "node2", "node3");
  assertAllReach(network, "after the reflector");
  for (const name of Object.keys(nodes)) {
    assert.equal(network.host(name).timers.has("retire"), false, name);
    assert.equal([...network.host(name).speaker.peers.all()].length, 2, name);
  }
});

test("Sessions that nothing replaces end after a moment, in which the rest of a change may come", () => {
  const network = meshed();
  const configurations = { default: { nodeToNodeMeshEnabled: false } };
  network.configure(cluster({ ...mesh, configurations }));
  network.settle();
  assertAllReach(network, "without the mesh");
  network.configure(cluster(reflectors));
  network.settle();
  tick(network, "node1", "node2", "node3");
  assertAllReach(network, "the reflectors came in time");

  const other = meshed();
  other.configure(cluster({ ...mesh, configurations }));
  tick(other, "node1");
  assertAllReach(other, "after a second");
  tick(other, "node1");
  assert.equal(other.host("node1").routeTo("10.244.2.0/26"), undefined);
  assert.deepEqual(other.host("node1").peers, []);
});

test("What replaces a session and never comes is waited for no longer than the deadline", () => {
  const network = meshed();
  network.configure(cluster(reflectors));
  for (let i = 0; i < 59; i++) tick(network, "node1");
  assert.equal(network.host("node1").routeTo("10.244.2.0/26"), "via 192.168.1.12");
  tick(network, "node1");
  assert.equal(network.host("node1").routeTo("10.244.2.0/26"), undefined);
});

test("A node that leaves a mesh that goes on is gone after a moment, whoever else has come", () => {
  const network = meshed();
  network.add("node4", "192.168.1.14");
  const { node3: _gone, ...rest } = nodes;
  network.configure(cluster({ nodes: { ...rest, node4: { ipv4Address: "192.168.1.14/16" } } }));
  network.settle();
  const node1 = network.host("node1");
  for (let i = 0; i < 2; i++) tick(network, "node1");
  assert.equal(node1.routeTo("10.244.3.0/26"), undefined);
  assert.equal(node1.timers.has("retire"), false);
});

test("A node that becomes a reflector a moment before anybody is told to peer with it stays reached", () => {
  const network = meshed();
  const { peers: _later, configurations: _mesh, ...first } = reflectors;
  network.configure(cluster(first));
  tick(network, "node1", "node2", "node3");
  network.configure(cluster(reflectors));
  network.settle();
  for (let i = 0; i < 3; i++) tick(network, "node1", "node2", "node3");
  assertAllReach(network, "before the new sessions");
  network.connect();
  tick(network, "node1", "node2", "node3");
  assertAllReach(network, "with the new sessions");
});

test("A session that is wanted again goes on as if nothing had been", () => {
  const network = meshed();
  network.configure(
    cluster({ ...mesh, configurations: { default: { nodeToNodeMeshEnabled: false } } }),
  );
  network.configure(cluster(mesh));
  network.settle();
  tick(network, "node1");
  const node1 = network.host("node1");
  assert.deepEqual(node1.resets, []);
  assert.deepEqual(node1.verdicts("10.244.2.0/26"), { Mesh_192_168_1_12: "best" });
});

test("A neighbor whose session has to start anew keeps its routes meanwhile", () => {
  const network = meshed();
  const configurations = { default: { nodeMeshMaxRestartTime: "60s" } };
  network.configure(cluster({ ...mesh, configurations }));
  network.settle();
  const node1 = network.host("node1");
  assert.equal(node1.routeTo("10.244.2.0/26"), "via 192.168.1.12");
  assert.equal(node1.timers.has("stale Mesh_192_168_1_12"), true);
  network.expire("node1", "stale Mesh_192_168_1_12");
  assert.equal(node1.routeTo("10.244.2.0/26"), undefined);
});

test("A neighbor that is in another AS now loses its routes at once", () => {
  const network = new Network();
  network.add("node1", "192.168.1.11");
  network.add("tor", "192.168.1.1");
  const rack = (asNumber: number) => ({
    nodes: { node1: { ipv4Address: "192.168.1.11/16" }, tor: { ipv4Address: "192.168.1.1/16" } },
    blocks: { "10.244.9.0/26": "tor" },
    configurations: { default: { nodeToNodeMeshEnabled: false } },
    peers: { tor: { peerIP: "192.168.1.1", asNumber, node: "node1" } },
  });
  const sketch = rack(64512);
  network.configure(
    cluster({
      ...sketch,
      peers: { ...sketch.peers, back: { peerIP: "192.168.1.11", node: "tor" } },
    }),
  );
  network.connect();
  assert.equal(network.host("node1").routeTo("10.244.9.0/26"), "via 192.168.1.1");
  network.configure(cluster(rack(64999)));
  network.settle();
  assert.equal(network.host("node1").routeTo("10.244.9.0/26"), undefined);
});
