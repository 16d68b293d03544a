import assert from "node:assert/strict";
import { test } from "node:test";
import { drainAnnotation } from "../../../../src/api/drain.ts";
import type { WorkloadEndpoint } from "../../../../src/api/resources/workload-endpoint.ts";
import { speakerConfig } from "../../../../src/bgp/config/speaker-config.ts";
import { type ClusterSketch, cluster } from "../speaker/cluster.ts";

const sketch: ClusterSketch = {
  nodes: { node1: { ipv4Address: "192.168.1.11/16" } },
  blocks: { "10.244.1.0/26": "node1", "10.244.1.64/26": "node1" },
  workloads: [workload("node1", "10.244.1.5/32"), workload("node2", "10.244.1.70/32")],
};
const drained = { node1: { [drainAnnotation]: "true" } };

function workload(node: string, network: string): WorkloadEndpoint {
  return {
    apiVersion: "projectcalico.org/v3",
    kind: "WorkloadEndpoint",
    metadata: { name: `${node}-k8s-pod-eth0`, namespace: "default" },
    spec: {
      orchestrator: "k8s",
      node,
      pod: "pod",
      endpoint: "eth0",
      ipNetworks: [network],
      interfaceName: "cali1",
    },
  };
}

function configOf(more: Partial<ClusterSketch>) {
  return speakerConfig(cluster({ ...sketch, ...more }), "node1");
}

test("A node that is drained announces the blocks that hold a workload of its own, and says so", () => {
  const config = configOf({ annotations: drained });
  assert.equal(config?.draining, true);
  assert.deepEqual(config?.originated, ["10.244.1.0/26"]);
  assert.deepEqual(config?.confirmedBlocks, ["10.244.1.0/26"]);
});

test("A node without the annotation, or with another value, announces all", () => {
  for (const annotations of [{}, { node1: { [drainAnnotation]: "false" } }]) {
    const config = configOf({ annotations });
    assert.equal(config?.draining, undefined);
    assert.deepEqual(config?.originated, ["10.244.1.0/26", "10.244.1.64/26"]);
  }
});

test("A block with the node's tunnel address stays: answers to its own packets come by it", () => {
  const nodes = {
    node1: { ipv4Address: "192.168.1.11/16", ipv4IPIPTunnelAddr: "10.244.1.64" },
  };
  const config = configOf({ annotations: drained, nodes, workloads: [] });
  assert.deepEqual(config?.originated, ["10.244.1.64/26"]);
});
