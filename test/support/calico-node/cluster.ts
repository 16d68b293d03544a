import type { AnyResource } from "../../../src/api/resource-of-kind.ts";
import { block, node, pod, policy, pool, profile } from "../../states/resources.ts";

/** The cluster of facts B.2, with VXLAN in the place of IPIP, and a pool whose routes are BGP's. */
export function clusterOfFacts(): readonly AnyResource[] {
  return [
    node("node1", "192.168.1.11/24", { ipv4VXLANTunnelAddr: "10.244.10.0" }),
    node("node2", "192.168.1.12/24", { ipv4VXLANTunnelAddr: "10.244.20.0" }),
    node("node3", "192.168.2.13/24", { ipv4VXLANTunnelAddr: "10.244.30.0" }),
    pool("default-ipv4-ippool", "10.244.0.0/16", {
      vxlanMode: "CrossSubnet",
      natOutgoing: true,
      blockSize: 26,
    }),
    pool("routed", "10.9.0.0/16", { blockSize: 26 }),
    block("10.244.10.0/26", "node1", { 0: "node1", 5: "node1" }),
    block("10.244.20.0/26", "node2", { 0: "node2" }),
    block("10.244.30.0/26", "node3", { 0: "node3" }),
    block("10.9.2.0/26", "node2", {}),
    profile("kns.default"),
    policy(
      "knp.default.allow-web",
      {
        order: 1000,
        selector: "projectcalico.org/orchestrator == 'k8s' && app == 'web'",
        types: ["Ingress"],
        ingress: [
          {
            action: "Allow",
            protocol: "TCP",
            source: { selector: "projectcalico.org/orchestrator == 'k8s' && app == 'client'" },
            destination: { ports: [80] },
          },
        ],
      },
      "default",
    ),
    webPod,
    pod("node2-k8s-client-eth0", {
      node: "node2",
      namespace: "default",
      ip: "10.244.20.7/32",
      labels: { app: "client" },
      interfaceName: "cali1d7763386da",
    }),
  ];
}

/** default/web-0 of facts B.2. */
export const webPod: AnyResource = pod("node1-k8s-web--0-eth0", {
  node: "node1",
  namespace: "default",
  ip: "10.244.10.5/32",
  labels: { app: "web" },
  pod: "web-0",
  interfaceName: "cali0d7763386da",
  mac: "02:00:00:00:00:05",
});
