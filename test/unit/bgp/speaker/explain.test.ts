import assert from "node:assert/strict";
import { test } from "node:test";
import { why, whyNot } from "../../../../src/bgp/speaker/explain.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";
import { type ClusterSketch, cluster } from "./cluster.ts";
import { Network } from "./network.ts";

const mesh: ClusterSketch = {
  nodes: {
    node1: { ipv4Address: "192.168.1.11/16" },
    node2: { ipv4Address: "192.168.1.12/16" },
    node3: { ipv4Address: "192.168.1.13/16" },
  },
  blocks: { "10.244.1.0/26": "node1", "10.244.2.0/26": "node2" },
};

function meshNetwork(): Network {
  const network = new Network();
  for (const host of [11, 12, 13]) network.add(`node${host - 10}`, `192.168.1.${host}`);
  network.configure(cluster(mesh));
  return network;
}

test("why() is undefined for a prefix that nobody has told of", () => {
  const { speaker } = meshNetwork().host("node1");
  assert.equal(why(speaker, parsePrefix("10.99.0.0/16")), undefined);
});

test("why() tells the verdict on every path, and the kernel's route", () => {
  const network = meshNetwork();
  network.connect();
  const answer = why(network.host("node1").speaker, parsePrefix("10.244.2.0/26"));
  assert.equal(answer?.kernel, "via 192.168.1.12 ifindex 2");
  assert.deepEqual(
    answer?.paths.map(({ peer, verdict, by }) => [peer, verdict, by]),
    [["Mesh_192_168_1_12", "best", undefined]],
  );
});

test("whyNot() names what decides, from the peer down to the deciding export rule", () => {
  const network = meshNetwork();
  const { speaker } = network.host("node1");
  const told = (prefix: string, peer: string) => {
    const { told: isTold, because } = whyNot(speaker, parsePrefix(prefix), peer);
    return `${isTold ? "told" : "not told"}: ${because}`;
  };
  const [node2, node3] = ["Mesh_192_168_1_12", "Mesh_192_168_1_13"];
  assert.equal(told("10.244.1.0/26", "Mesh_9_9_9_9"), "not told: no such peer");
  assert.equal(told("10.244.1.0/26", node2), "not told: peer not Established");
  network.connect();
  assert.equal(told("10.244.1.0/26", node2), "told: export step own-block");
  assert.equal(told("10.244.2.0/26", node2), "not told: split horizon: learned from it");
  assert.equal(told("10.244.2.0/26", node3), "not told: export step ibgp-split-horizon");
  assert.equal(told("10.99.0.0/16", node2), "not told: no path");
  assert.equal(told("fd00::/64", node2), "not told: family not negotiated");
});
