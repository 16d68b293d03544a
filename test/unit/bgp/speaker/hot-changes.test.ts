import assert from "node:assert/strict";
import { test } from "node:test";
import type { BGPConfigurationSpec, BGPPeerSpec } from "../../../../src/api/resources/bgp.ts";
import { speakerConfig } from "../../../../src/bgp/config/speaker-config.ts";
import { Secret } from "../../../../src/lib/secret.ts";
import { type ClusterSketch, cluster } from "./cluster.ts";
import { Network } from "./network.ts";

/** node1 has a mesh of two and is a peer of two racks; a change concerns rack1 or all. */
const base: ClusterSketch = {
  nodes: {
    node1: { ipv4Address: "192.168.1.11/16" },
    node2: { ipv4Address: "192.168.1.12/16" },
    node3: { ipv4Address: "192.168.1.13/16" },
  },
  blocks: { "10.244.1.0/26": "node1" },
  configurations: { default: {} },
  peers: {
    rack1: { peerIP: "192.168.1.1", asNumber: 64999 },
    rack2: { peerIP: "192.168.1.2", asNumber: 64998 },
  },
  filters: { none: {} },
};
const mesh = ["Mesh_192_168_1_12", "Mesh_192_168_1_13"];
const [rack1, rack2] = ["Global_192_168_1_1", "Global_192_168_1_2"];
const all = [rack1, rack2, ...mesh];
const password = { secretKeyRef: { name: "bgp", key: "key" } };
const secrets = new Map([["bgp/key", { secret: new Secret("k") }]]);

/** Sessions that end when the configuration becomes this one. */
function ended(after: Partial<ClusterSketch>): readonly string[] {
  const network = new Network();
  const host = network.add("node1", "192.168.1.11");
  const configure = (sketch: ClusterSketch) => {
    const config = speakerConfig(cluster(sketch), "node1", {}, secrets);
    assert.ok(config !== undefined);
    host.post({ kind: "configured", config });
    network.settle();
  };
  configure(base);
  for (const name of all) host.establish(name);
  configure({ ...base, ...after });
  for (let i = 0; i < 2; i++) if (host.timers.has("retire")) network.expire("node1", "retire");
  return all.filter((name) => host.speaker.peers.get(name)?.negotiated === undefined);
}

const configurationFields: readonly [BGPConfigurationSpec, readonly string[]][] = [
  [{ logSeverityScreen: "Debug" }, []],
  [{ nodeToNodeMeshEnabled: false }, mesh],
  [{ asNumber: 64513 }, all],
  [{ serviceClusterIPs: [{ cidr: "10.96.0.0/12" }] }, []],
  [{ serviceExternalIPs: [{ cidr: "203.0.113.0/24" }] }, []],
  [{ serviceLoadBalancerIPs: [{ cidr: "198.51.100.0/24" }] }, []],
  [{ serviceLoadBalancerAggregation: "Disabled" }, []],
  [{ communities: [{ name: "blue", value: "64512:7" }] }, []],
  [{ prefixAdvertisements: [{ cidr: "10.244.0.0/16", communities: ["64512:7"] }] }, []],
  [{ nodeMeshPassword: password }, mesh],
  [{ nodeMeshMaxRestartTime: "60s" }, mesh],
  [{ ignoredInterfaces: ["eth9"] }, []],
  [{ localWorkloadPeeringIPV4: "169.254.1.1" }, []],
  [{ programClusterRoutes: "Disabled" }, []],
  [{ ipv4NormalRoutePriority: 512 }, []],
  [{ ipv6NormalRoutePriority: 512 }, []],
];

for (const [fields, sessions] of configurationFields) {
  test(`BGPConfiguration ${JSON.stringify(fields)} ends ${sessions.length} sessions`, () => {
    assert.deepEqual(ended({ configurations: { default: fields } }), sessions);
  });
}

const peerFields: readonly [Partial<BGPPeerSpec>, readonly string[]][] = [
  [{ localASNumber: 64777 }, [rack1]],
  [{ asNumber: 64997 }, [rack1]],
  [{ keepOriginalNextHop: true }, []],
  [{ nextHopMode: "Self" }, []],
  [{ password }, [rack1]],
  [{ sourceAddress: "None" }, [rack1]],
  [{ maxRestartTime: "60s" }, [rack1]],
  [{ keepaliveTime: "10s" }, [rack1]],
  [{ numAllowedLocalASNumbers: 2 }, []],
  [{ ttlSecurity: 1 }, [rack1]],
  [{ reachableBy: "192.168.1.254" }, []],
  [{ filters: ["none"] }, []],
  [{ reversePeering: "Manual" }, []],
  [{ nodeSelector: "has(nothing)" }, [rack1]],
];

for (const [fields, sessions] of peerFields) {
  test(`BGPPeer ${JSON.stringify(fields)} ends ${sessions.length} sessions`, () => {
    const peer = { ...base.peers?.["rack1"], ...fields };
    assert.deepEqual(ended({ peers: { ...base.peers, rack1: peer } }), sessions);
  });
}

const annotations: readonly [string, string, readonly string[]][] = [
  ["tortie.dev/bfd", "300ms x 3", [rack1]],
  ["tortie.dev/long-lived-stale-time", "1h", [rack1]],
  ["tortie.dev/max-prefixes", "1000", []],
];

for (const [name, value, sessions] of annotations) {
  test(`The annotation ${name} of a BGPPeer ends ${sessions.length} sessions`, () => {
    assert.deepEqual(ended({ annotations: { rack1: { [name]: value } } }), sessions);
  });
}

test("Pools, blocks, other nodes and filters end no session", () => {
  const changes: readonly Partial<ClusterSketch>[] = [
    { pools: [{ cidr: "10.244.0.0/16" }, { cidr: "10.245.0.0/16" }] },
    { blocks: { ...base.blocks, "10.244.1.64/26": "node1" } },
    { nodes: { ...base.nodes, node4: { ipv4Address: "192.168.1.14/16" } } },
    { filters: { none: { exportV4: [{ action: "Accept" }] } } },
    { labels: { node1: { rack: "1" } } },
    { annotations: { node1: { "tortie.dev/drain": "true" } } },
  ];
  for (const change of changes) assert.deepEqual(ended(change), [], JSON.stringify(change));
});
