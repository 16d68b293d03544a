import assert from "node:assert/strict";
import { test } from "node:test";
import { type ClusterSketch, cluster } from "./cluster.ts";
import { runningNetwork } from "./running-network.ts";

const reflector: ClusterSketch = {
  nodes: {
    node1: { ipv4Address: "192.168.1.11/16" },
    node2: { ipv4Address: "192.168.1.12/16" },
    node3: { ipv4Address: "192.168.1.13/16", routeReflectorClusterID: "1.0.0.1" },
  },
  labels: { node3: { rr: "true" } },
  configurations: { default: { nodeToNodeMeshEnabled: false } },
  peers: { rr: { nodeSelector: "all()", peerSelector: "rr == 'true'" } },
  blocks: { "10.244.1.0/26": "node1", "10.244.2.0/26": "node2" },
};

test("A reflector that restarts ends its RIB when all clients have told theirs, not before", () => {
  const network = runningNetwork(reflector);
  network.restart("node3", cluster(reflector));
  assert.equal(network.host("node3").speaker.isRestarting, true);
  // One client is back; the other's routes are not known again yet.
  network.connect({ only: ["node1", "node3"], restarting: ["node3"] });
  const node1 = network.host("node1");
  assert.equal(node1.routeTo("10.244.2.0/26"), "via 192.168.1.12");
  assert.equal(node1.timers.has("stale Node_192_168_1_13"), true);
  network.connect({ restarting: ["node3"] });
  assert.equal(network.host("node2").routeTo("10.244.1.0/26"), "via 192.168.1.11");
  assert.equal(node1.timers.has("stale Node_192_168_1_13"), false);
  assert.equal(network.host("node3").speaker.isRestarting, false);
});

test("Own routes are told at once, whoever is not back", () => {
  const nodes = Object.fromEntries(
    [11, 12, 13].map((host) => [`node${host - 10}`, { ipv4Address: `192.168.1.${host}/16` }]),
  );
  const sketch = { nodes, blocks: { "10.244.1.64/26": "node1" } };
  const network = runningNetwork(sketch);
  network.restart("node1", cluster(sketch));
  const host = network.host("node2");
  network.expire("node2", "stale Mesh_192_168_1_11");
  assert.equal(host.routeTo("10.244.1.64/26"), undefined);
  network.connect({ only: ["node1", "node2"], restarting: ["node1"] });
  assert.equal(host.routeTo("10.244.1.64/26"), "via 192.168.1.11");
});

test("Two that restart at the same time do not wait for each other", () => {
  const network = runningNetwork(reflector);
  for (const name of ["node1", "node3", "node2"]) network.restart(name, cluster(reflector));
  network.connect({ restarting: ["node1", "node2", "node3"] });
  for (const name of ["node1", "node2", "node3"]) {
    const host = network.host(name);
    assert.equal(host.converged, true, name);
    assert.deepEqual([...host.timers.keys()], [], name);
  }
});

test("A client that does not come back is waited for no longer than the convergence timer", () => {
  const network = runningNetwork(reflector);
  network.restart("node3", cluster(reflector));
  network.connect({ only: ["node1", "node3"], restarting: ["node3"] });
  const node1 = network.host("node1");
  network.expire("node3", "convergence");
  assert.equal(node1.routeTo("10.244.2.0/26"), undefined);
  assert.equal(node1.timers.has("stale Node_192_168_1_13"), false);
});
