import assert from "node:assert/strict";
import { test } from "node:test";
import type { WorkloadEndpoint } from "../../../../src/api/resources/workload-endpoint.ts";
import {
  annotationsOfNode,
  nodeOfKube,
} from "../../../../src/datastore/kubernetes/node-annotations.ts";
import { endpointOfPod } from "../../../../src/datastore/kubernetes/pod-endpoint.ts";

const annotations = {
  "projectcalico.org/IPv4Address": "192.168.1.11/24",
  "projectcalico.org/ASNumber": "64512",
  "projectcalico.org/RouteReflectorClusterID": "1.2.3.4",
  "projectcalico.org/IPv4IPIPTunnelAddr": "10.244.0.1",
  "projectcalico.org/VXLANTunnelMACAddr": "66:f9:37:c3:7e:94",
  "projectcalico.org/IPv4WireguardInterfaceAddr": "10.244.0.2",
  "projectcalico.org/WireguardPublicKey": "key",
  "projectcalico.org/Interfaces": '[{"name":"eth0","addresses":["192.168.1.11"]}]',
  "projectcalico.org/labels": '{"own":"1"}',
};

test("facts 2.4: a node's fields are annotations, both ways", () => {
  const node = nodeOfKube({
    metadata: { name: "node1", resourceVersion: "3", labels: { zone: "a" }, annotations },
    spec: { podCIDRs: ["10.244.0.0/24"] },
    status: {
      addresses: [
        { type: "InternalIP", address: "192.168.1.11" },
        { type: "Hostname", address: "node1" },
      ],
    },
  });
  assert.deepEqual(node, {
    apiVersion: "projectcalico.org/v3",
    kind: "Node",
    metadata: {
      name: "node1",
      resourceVersion: "3",
      labels: { own: "1", zone: "a" },
      annotations: { "projectcalico.org/kube-labels": '{"zone":"a"}' },
    },
    spec: {
      bgp: {
        ipv4Address: "192.168.1.11/24",
        asNumber: 64512,
        routeReflectorClusterID: "1.2.3.4",
        ipv4IPIPTunnelAddr: "10.244.0.1",
      },
      vxlanTunnelMACAddr: "66:f9:37:c3:7e:94",
      wireguard: { interfaceIPv4Address: "10.244.0.2" },
      interfaces: [{ name: "eth0", addresses: ["192.168.1.11"] }],
      addresses: [
        { address: "192.168.1.11/24", type: "CalicoNodeIP" },
        { address: "192.168.1.11", type: "InternalIP" },
      ],
      orchRefs: [{ nodeName: "node1", orchestrator: "k8s" }],
    },
    status: { wireguardPublicKey: "key", podCIDRs: ["10.244.0.0/24"] },
  });
  const written = Object.entries(annotationsOfNode(node)).filter(([, value]) => value !== null);
  assert.deepEqual(Object.fromEntries(written), annotations);
});

test("an invalid annotation counts as absent; an absent field takes its annotation away", () => {
  const node = nodeOfKube({
    metadata: {
      name: "n",
      annotations: {
        "projectcalico.org/IPv4Address": "nonsense",
        "projectcalico.org/RouteReflectorClusterID": "fd00::1",
        "projectcalico.org/labels": "[]",
      },
    },
  });
  assert.deepEqual(node.spec, { orchRefs: [{ nodeName: "n", orchestrator: "k8s" }] });
  assert.equal(annotationsOfNode(node)["projectcalico.org/IPv4Address"], null);
});

const pod = {
  metadata: {
    name: "web-0",
    namespace: "default",
    resourceVersion: "8",
    labels: { app: "web" },
    annotations: {
      "cni.projectcalico.org/podIP": "10.244.0.5/32",
      "cni.projectcalico.org/podIPs": "10.244.0.5/32,fd00::5/128",
      "cni.projectcalico.org/containerID": "abc",
      "cni.projectcalico.org/floatingIPs": '["1.2.3.4"]',
    },
  },
  spec: {
    nodeName: "node-1",
    serviceAccountName: "default",
    containers: [
      { ports: [{ name: "http", containerPort: 80 }, { containerPort: 81 }] },
      { ports: [{ containerPort: 53, hostPort: 5353, protocol: "UDP" }] },
    ],
  },
  status: { phase: "Pending" },
};

const endpoint = (changes: object): WorkloadEndpoint | undefined =>
  endpointOfPod({ ...pod, ...changes }, "cali");

test("facts 2.6, B2, B25: a pod is a WorkloadEndpoint", () => {
  assert.deepEqual(endpoint({}), {
    apiVersion: "projectcalico.org/v3",
    kind: "WorkloadEndpoint",
    metadata: {
      name: "node--1-k8s-web--0-eth0",
      namespace: "default",
      resourceVersion: "8",
      labels: {
        app: "web",
        "projectcalico.org/namespace": "default",
        "projectcalico.org/orchestrator": "k8s",
        "projectcalico.org/serviceaccount": "default",
      },
      // Ours, for the CNI agent: what the pod asks of the plugin.
      annotations: { "cni.projectcalico.org/floatingIPs": '["1.2.3.4"]' },
    },
    spec: {
      orchestrator: "k8s",
      node: "node-1",
      pod: "web-0",
      endpoint: "eth0",
      containerID: "abc",
      serviceAccountName: "default",
      ipNetworks: ["10.244.0.5/32", "fd00::5/128"],
      ipNATs: [{ internalIP: "10.244.0.5", externalIP: "1.2.3.4" }],
      profiles: ["kns.default", "ksa.default.default"],
      interfaceName: "cali0d7763386da",
      ports: [
        { name: "http", protocol: "TCP", port: 80 },
        { protocol: "UDP", port: 53, hostPort: 5353 },
      ],
    },
  });
});

test("facts 2.6: floating addresses and quality of service are annotations of a pod", () => {
  const asked = {
    "cni.projectcalico.org/floatingIPs": '["192.0.2.7","2001:db8::7","no address"]',
    "qos.projectcalico.org/egressPacketRate": "100",
    "qos.projectcalico.org/dscp": "20",
  };
  const all = { ...pod.metadata.annotations, ...asked };
  const { spec } = endpoint({ metadata: { ...pod.metadata, annotations: all } }) ?? {};
  assert.deepEqual(spec?.ipNATs, [
    { internalIP: "10.244.0.5", externalIP: "192.0.2.7" },
    { internalIP: "fd00::5", externalIP: "2001:db8::7" },
  ]);
  assert.deepEqual(spec?.qosControls, {
    egressPacketRate: 100,
    egressPacketBurst: 5,
    dscp: 20,
  });
});

test("kubelet's word on addresses wins; a pod that has ended has none", () => {
  const status = { phase: "Running", podIPs: [{ ip: "10.244.0.9" }] };
  assert.deepEqual(endpoint({ status })?.spec.ipNetworks, ["10.244.0.9/32"]);
  assert.deepEqual(endpoint({ status: { phase: "Succeeded" } })?.spec.ipNetworks, []);
  const deletionTimestamp = "2026-08-22T10:00:00Z";
  const released = { "cni.projectcalico.org/podIP": "" };
  const metadata = { ...pod.metadata, deletionTimestamp };
  assert.equal(endpoint({ status, metadata })?.spec.ipNetworks?.length, 1);
  assert.deepEqual(
    endpoint({ status, metadata: { ...metadata, annotations: released } })?.spec.ipNetworks,
    [],
  );
});

test("a pod of the host's network, or of no node, is no endpoint", () => {
  assert.equal(endpoint({ spec: { ...pod.spec, hostNetwork: true } }), undefined);
  assert.equal(endpoint({ spec: {} }), undefined);
});
