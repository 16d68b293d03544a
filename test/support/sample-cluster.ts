import type { AnyResource, Kind } from "../../src/api/resource-of-kind.ts";
import type { Datastore } from "../../src/datastore/datastore.ts";
import { ipamOn } from "../unit/ipam/cluster.ts";

const apiVersion = "projectcalico.org/v3";

function object(kind: Kind, name: string, spec: object, namespace?: string): AnyResource {
  const place = namespace === undefined ? {} : { namespace };
  return { apiVersion, kind, metadata: { name, ...place }, spec } as unknown as AnyResource;
}

/** One object of nearly every kind, with fields that nobody knows and two pods that have addresses. */
export async function sampleCluster(datastore: Datastore): Promise<void> {
  for (const resource of sampleObjects) await datastore.create<Kind>(resource);
  const ipam = ipamOn(datastore);
  const pod = (name: string, node: string) =>
    ({
      node,
      use: "Workload",
      num4: 1,
      num6: 1,
      handle: `k8s-pod-network.${name}ABC`,
      attributes: { node, pod: name, namespace: "prod" },
    }) as const;
  for (const [name, node] of [
    ["web-0", "node1"],
    ["web-1", "node2"],
  ] as const) {
    const assigned = await ipam.autoAssign(pod(name, node));
    await datastore.create<"WorkloadEndpoint">({
      apiVersion,
      kind: "WorkloadEndpoint",
      metadata: { name: `${node}-k8s-${name.replace("-", "--")}-eth0`, namespace: "prod" },
      spec: {
        orchestrator: "k8s",
        node,
        pod: name,
        endpoint: "eth0",
        ipNetworks: assigned.map(({ address }) => `${address}/${address.includes(":") ? 128 : 32}`),
        interfaceName: `cali${name}`,
      },
    });
  }
}

const sampleObjects: readonly AnyResource[] = [
  object("ClusterInformation", "default", {
    clusterGUID: "07".repeat(16),
    clusterType: "k8s,bgp",
    calicoVersion: "v3.30.0",
    datastoreReady: true,
  }),
  object("Tier", "default", { order: 1_000_000, defaultAction: "Deny" }),
  object("Tier", "platform", { order: 50 }),
  object("IPPool", "v4", { cidr: "10.65.0.0/16", blockSize: 26, unknownField: { kept: [1, "a"] } }),
  object("IPPool", "v6", { cidr: "fd00:65::/64", blockSize: 122 }),
  object("IPReservation", "router", { reservedCIDRs: ["10.65.0.0/30"] }),
  object("IPAMConfiguration", "default", {
    strictAffinity: true,
    maxBlocksPerHost: 4,
    autoAllocateBlocks: true,
  }),
  {
    ...object("Node", "node1", { bgp: { ipv4Address: "192.0.2.1/24", asNumber: 64_512 } }),
    metadata: { name: "node1", labels: { rack: "a" }, annotations: { "example.com/a": "1" } },
  } as AnyResource,
  object("Node", "node2", { bgp: { ipv4Address: "192.0.2.2/24" } }),
  object("BGPConfiguration", "default", { asNumber: 64_512, nodeToNodeMeshEnabled: true }),
  object("BGPPeer", "tor", { peerIP: "192.0.2.254", asNumber: 64_600 }),
  object("BGPFilter", "out", {
    exportV4: [{ action: "Accept", matchOperator: "In", cidr: "10.65.0.0/16" }],
  }),
  object("FelixConfiguration", "default", { logSeverityScreen: "Info" }),
  object("KubeControllersConfiguration", "default", {
    controllers: { node: { leakGracePeriod: "20m" } },
  }),
  object("GlobalNetworkPolicy", "base", {
    tier: "platform",
    order: 10,
    selector: "all()",
    types: ["Ingress"],
  }),
  {
    ...object("NetworkPolicy", "web", { selector: "app == 'web'", types: ["Ingress"] }, "prod"),
    metadata: {
      name: "web",
      namespace: "prod",
      labels: { team: "x" },
      annotations: { note: "<&>" },
    },
  } as AnyResource,
  object("NetworkPolicy", "knp.default.allow", { selector: "all()", types: ["Ingress"] }, "prod"),
  object("StagedGlobalNetworkPolicy", "next", { selector: "all()", types: ["Egress"] }),
  object("StagedNetworkPolicy", "next", { selector: "all()", types: ["Egress"] }, "prod"),
  object("StagedKubernetesNetworkPolicy", "next", { podSelector: {} }, "prod"),
  object("GlobalNetworkSet", "bad", { nets: ["198.51.100.0/24"] }),
  object("NetworkSet", "bad", { nets: ["198.51.100.0/24"] }, "prod"),
  object("HostEndpoint", "eth0", { node: "node1", interfaceName: "eth0" }),
  object("Profile", "kns.prod", { labelsToApply: { "pcns.team": "x" } }),
  object("CalicoNodeStatus", "node1", { node: "node1", classes: ["BGP"], updatePeriodSeconds: 10 }),
];
