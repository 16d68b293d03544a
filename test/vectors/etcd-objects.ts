import type { AnyResource } from "../../src/api/resource-of-kind.ts";

/**
 * Keys and values of etcd as facts 2.7 has them, beside our form of the same object. The text of a
 * value is what Calico writes: numbers of 19 digits stand in it as they are.
 */
export interface EtcdObject {
  readonly what: string;
  readonly key: string;
  readonly value: string;
  /** Without revision, uid and time. */
  readonly resource: AnyResource;
  /** Old forms are read, and written in the new one. */
  readonly readOnly?: true;
}

const apiVersion = "projectcalico.org/v3";

const block = {
  cidr: "10.0.0.64/30",
  affinity: "host:node1",
  affinityClaimTime: "2026-08-22T10:00:00Z",
  allocations: [0, null, 1, null],
  unallocated: [1, 3],
  attributes: [
    {
      handle_id: "ipip-tunnel-addr-node1",
      secondary: { node: "node1", type: "ipipTunnelAddress" },
    },
    {
      handle_id: "k8s-pod-network.4c1f",
      secondary: {
        namespace: "default",
        node: "node1",
        pod: "web-0",
        timestamp: "2026-08-22 10:00:03.1 +0000 UTC",
      },
    },
  ],
  sequenceNumber: 1755856800000000003n,
  sequenceNumberForAllocation: { "0": 1755856800000000001n, "2": 1755856800000000002n },
} as const;

const node1Labels = {
  "projectcalico.org/hostname-hash": "7DS2CCNJGGLTHBDQLLFO6SX24SY2YDDEG3W2VN556FA2W4DLLV5A",
  "projectcalico.org/affinity-type": "host",
  "projectcalico.org/ip-version": "4",
};

function affinity(state: "confirmed" | ""): AnyResource {
  return {
    apiVersion,
    kind: "BlockAffinity",
    metadata: { name: "node1-10-0-0-64-26", labels: node1Labels },
    spec: { state, node: "node1", type: "host", cidr: "10.0.0.64/26" },
  };
}

export const etcdObjects: readonly EtcdObject[] = [
  {
    what: "the block of facts 2.7",
    key: "/calico/ipam/v2/assignment/ipv4/block/10.0.0.64-30",
    value: `{"cidr":"10.0.0.64/30","affinity":"host:node1","affinity_claim_time":"2026-08-22T10:00:00Z",
 "allocations":[0,null,1,null],"unallocated":[1,3],
 "attributes":[
  {"handle_id":"ipip-tunnel-addr-node1","secondary":{"node":"node1","type":"ipipTunnelAddress"}},
  {"handle_id":"k8s-pod-network.4c1f","secondary":{"namespace":"default","node":"node1","pod":"web-0","timestamp":"2026-08-22 10:00:03.1 +0000 UTC"}}],
 "sequenceNumber":1755856800000000003,"sequenceNumberForAllocation":{"0":1755856800000000001,"2":1755856800000000002},"deleted":false}`,
    resource: { apiVersion, kind: "IPAMBlock", metadata: { name: "10-0-0-64-30" }, spec: block },
  },
  {
    what: "a block that names its host only, as very old ones do",
    key: "/calico/ipam/v2/assignment/ipv4/block/10.0.0.68-31",
    value: `{"cidr":"10.0.0.68/31","hostAffinity":"node1","allocations":[null,null],"unallocated":[0,1],"attributes":[],"sequenceNumber":3}`,
    resource: {
      apiVersion,
      kind: "IPAMBlock",
      metadata: { name: "10-0-0-68-31" },
      spec: {
        cidr: "10.0.0.68/31",
        affinity: "host:node1",
        allocations: [null, null],
        unallocated: [0, 1],
        attributes: [],
        sequenceNumber: 3n,
        sequenceNumberForAllocation: {},
      },
    },
    readOnly: true,
  },
  {
    what: "an IPv6 block, of a virtual owner",
    key: "/calico/ipam/v2/assignment/ipv6/block/fd00:10:244::40-127",
    value: `{"cidr":"fd00:10:244::40/127","affinity":"virtual:load-balancer","allocations":[null,null],"unallocated":[0,1],"attributes":[],"sequenceNumber":18446744073709551615,"sequenceNumberForAllocation":{},"deleted":false}`,
    resource: {
      apiVersion,
      kind: "IPAMBlock",
      metadata: { name: "fd00-10-244--40-127" },
      spec: {
        cidr: "fd00:10:244::40/127",
        affinity: "virtual:load-balancer",
        allocations: [null, null],
        unallocated: [0, 1],
        attributes: [],
        sequenceNumber: 18446744073709551615n,
        sequenceNumberForAllocation: {},
      },
    },
  },
  {
    what: "the affinity of facts 2.7",
    key: "/calico/ipam/v2/host/node1/ipv4/block/10.0.0.64-26",
    value: `{"state":"confirmed","deleted":false}`,
    resource: affinity("confirmed"),
  },
  {
    what: "an affinity of no value, as very old ones are",
    key: "/calico/ipam/v2/host/node1/ipv4/block/10.0.0.64-26",
    value: "",
    resource: affinity(""),
    readOnly: true,
  },
  {
    what: "a virtual affinity",
    key: "/calico/ipam/v2/virtual/load-balancer/ipv4/block/10.0.0.64-26",
    value: `{"state":"pending","deleted":false}`,
    resource: {
      apiVersion,
      kind: "BlockAffinity",
      metadata: {
        name: "load-balancer-10-0-0-64-26",
        labels: {
          "projectcalico.org/hostname-hash": "TAU2RK2F2FG7MIS72DPZYC6FJ3U3BIWIDZAMUTQY7ZXMSKQZ5GSQ",
          "projectcalico.org/affinity-type": "virtual",
          "projectcalico.org/ip-version": "4",
        },
      },
      spec: { state: "pending", node: "load-balancer", type: "virtual", cidr: "10.0.0.64/26" },
    },
  },
  {
    what: "the handle of facts 2.7, whose ID is in the key alone",
    key: "/calico/ipam/v2/handle/k8s-pod-network.4C1F",
    value: `{"block":{"10.0.0.64/26":1},"deleted":false}`,
    resource: {
      apiVersion,
      kind: "IPAMHandle",
      metadata: { name: "k8s-pod-network.4c1f" },
      spec: { handleID: "k8s-pod-network.4C1F", block: { "10.0.0.64/26": 1 } },
    },
  },
  {
    what: "the configuration",
    key: "/calico/ipam/v2/config",
    value: `{"strict_affinity":true,"auto_allocate_blocks":true,"maxBlocksPerHost":3,"kubeVirtVMAddressPersistence":"Enabled","ipCooldownSeconds":30}`,
    resource: {
      apiVersion,
      kind: "IPAMConfiguration",
      metadata: { name: "default" },
      spec: {
        strictAffinity: true,
        autoAllocateBlocks: true,
        maxBlocksPerHost: 3,
        kubeVirtVMAddressPersistence: "Enabled",
        ipCooldownSeconds: 30,
      },
    },
  },
  {
    what: "a v3 resource",
    key: "/calico/resources/v3/projectcalico.org/ippools/default",
    value: `{"kind":"IPPool","apiVersion":"projectcalico.org/v3","metadata":{"name":"default"},"spec":{"cidr":"10.244.0.0/16","blockSize":26,"ipipMode":"CrossSubnet","natOutgoing":true}}`,
    resource: {
      apiVersion,
      kind: "IPPool",
      metadata: { name: "default" },
      spec: { cidr: "10.244.0.0/16", blockSize: 26, ipipMode: "CrossSubnet", natOutgoing: true },
    },
  },
  {
    what: "a v3 resource of a namespace",
    key: "/calico/resources/v3/projectcalico.org/networkpolicies/shop/allow-web",
    value: `{"kind":"NetworkPolicy","apiVersion":"projectcalico.org/v3","metadata":{"name":"allow-web","namespace":"shop"},"spec":{"tier":"default","order":7.5,"types":["Ingress"],"ingress":[{"action":"Allow"}]}}`,
    resource: {
      apiVersion,
      kind: "NetworkPolicy",
      metadata: { name: "allow-web", namespace: "shop" },
      spec: { tier: "default", order: 7.5, types: ["Ingress"], ingress: [{ action: "Allow" }] },
    },
  },
  {
    what: "the endpoint of a pod whose node has a dash in its name (facts B 25)",
    key: "/calico/resources/v3/projectcalico.org/workloadendpoints/default/node--1-k8s-web--0-eth0",
    value: `{"kind":"WorkloadEndpoint","apiVersion":"projectcalico.org/v3","metadata":{"name":"node--1-k8s-web--0-eth0","namespace":"default"},"spec":{"orchestrator":"k8s","node":"node-1","pod":"web-0","endpoint":"eth0","ipNetworks":["10.0.0.64/32"],"interfaceName":"cali0d7763386da"}}`,
    resource: {
      apiVersion,
      kind: "WorkloadEndpoint",
      metadata: { name: "node--1-k8s-web--0-eth0", namespace: "default" },
      spec: {
        orchestrator: "k8s",
        node: "node-1",
        pod: "web-0",
        endpoint: "eth0",
        ipNetworks: ["10.0.0.64/32"],
        interfaceName: "cali0d7763386da",
      },
    },
  },
];

/** Keys of Calico's that hold no resource: passed over, not misread. */
export const otherEtcdKeys: readonly string[] = [
  "/calico/ipam/v2/host/node1",
  "/calico/ipam/v2/host/node1/ipv4/block/",
  "/calico/ipam/v2/assignment/ipv4/block/10.0.0.64",
  "/calico/ipam/v2/handle/",
  "/calico/v1/Ready",
  "/calico/v1/ipam/v4/pool/10.0.0.0-16",
  "/calico/bgp/v1/global/as_num",
  "/calico/felix/v2/no-region/host/node1/status",
  "/calico/resources/v3/projectcalico.org/networkpolicies/allow-web",
  "/calico/resources/v3/projectcalico.org/ippools/shop/default",
];
