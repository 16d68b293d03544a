import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReflectorIdentity } from "../../../../src/bgp/config/reflector.ts";
import { reflectorConfig } from "../../../../src/bgp/config/reflector.ts";
import { hashedId, speakerConfig } from "../../../../src/bgp/config/speaker-config.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { type ClusterSketch, cluster } from "../speaker/cluster.ts";

const clusterId = 0xf4000001;
const reflector: ReflectorIdentity = {
  name: "route-reflector-x",
  addresses: [parseIpAddr("10.0.0.1"), parseIpAddr("fd00::1")],
  port: 1790,
  clusterId,
};
const nodes: ClusterSketch["nodes"] = {
  a: { ipv4Address: "10.0.0.1/24", ipv6Address: "fd00::1/64" },
  b: { ipv4Address: "10.0.0.2/24" },
  c: { ipv4Address: "10.0.0.3/24", asNumber: 65000 },
};

test("every node is a client that a reflector waits for, also that of its own host", () => {
  const config = reflectorConfig(cluster({ nodes }), reflector);
  const brief = config.peers.map(({ config: { address, passive, reflectorClient } }) => [
    address,
    passive,
    reflectorClient?.clusterId,
  ]);
  assert.deepEqual(brief, [
    ["10.0.0.1", true, clusterId],
    ["10.0.0.2", true, clusterId],
    // Of another AS: a peer, no client.
    ["10.0.0.3", true, undefined],
    ["fd00::1", true, clusterId],
  ]);
  assert.deepEqual(config.listenAddresses, reflector.addresses);
  assert.equal(config.listenPort, 1790);
  assert.equal(config.install, false);
  assert.deepEqual(config.originated, []);
});

test("a reflector's router ID is none that a node may have", () => {
  const idOf = (sketch: ClusterSketch["nodes"]) =>
    reflectorConfig(cluster({ nodes: sketch }), reflector).routerId;
  const id = idOf(nodes);
  assert.equal(id, hashedId(reflector.name));
  const [a, b, c, d] = [24, 16, 8, 0].map((shift) => (id >>> shift) & 255);
  assert.notEqual(idOf({ a: { ipv4Address: `${a}.${b}.${c}.${d}/24` } }), id);
});

test("a node speaks with the reflector of its own host, and with one beside a mesh peer", () => {
  const peers = {
    "r-v4": { nodeSelector: "all()", peerIP: "10.0.0.1:1790" },
    own: { nodeSelector: "all()", peerIP: "10.0.0.1" },
  };
  const two = { a: nodes["a"], b: nodes["b"] };
  const sessions = (name: string) =>
    speakerConfig(cluster({ nodes: two, peers }), name)?.peers.map(({ config }) => [
      config.name,
      config.passive,
      config.connectOnly,
    ]);
  assert.deepEqual(sessions("a"), [
    ["Mesh_10_0_0_2", true, undefined],
    ["Node_10_0_0_1_port_1790", false, undefined],
  ]);
  assert.deepEqual(sessions("b"), [
    ["Mesh_10_0_0_1", false, undefined],
    ["Node_10_0_0_1_port_1790", false, true],
  ]);
});
