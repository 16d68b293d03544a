import { createHash } from "node:crypto";
import { floatingNats } from "../api/kubernetes/floating-addresses.ts";
import { calicoApiVersion } from "../api/meta.ts";
import { vethName, wepName } from "../api/names.ts";
import type { WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import type { IpAddr } from "../lib/ip-addr.ts";
import { hostPrefix } from "../lib/prefix.ts";
import type { ParsedCall } from "./call.ts";

/** Names that follow from one call: which endpoint, which interface, which IPAM handles. */
export interface EndpointIdentity {
  readonly node: string;
  readonly orchestrator: "k8s" | "cni";
  /** Pod name, or the container ID without Kubernetes. */
  readonly workload: string;
  readonly namespace: string;
  readonly wepName: string;
  readonly hostInterface: string;
  /** "<network>.<containerID>" (facts 3.6). */
  readonly handle: string;
  /** What older releases used: released on DEL too. */
  readonly legacyHandle: string;
}

/** Facts 2.6 and 3.6. */
export function identityOf(call: ParsedCall, node: string): EndpointIdentity {
  const orchestrator = call.pod === undefined ? "cni" : "k8s";
  const workload = call.pod?.name ?? call.containerId;
  const namespace = call.pod?.namespace ?? "default";
  return {
    node,
    orchestrator,
    workload,
    namespace,
    wepName: wepName({ node, orchestrator, workload, endpoint: call.ifName }),
    hostInterface:
      call.ifName === "eth0"
        ? vethName("cali", namespace, workload)
        : `cali${createHash("sha1").update(`${namespace}.${workload}.${call.ifName}`).digest("hex").slice(0, 11)}`,
    handle: handleOf(call, call.containerId),
    legacyHandle: `${namespace}.${workload}`,
  };
}

/** IPAM's handle of a container of the call's network (facts 3.6). */
export function handleOf(call: ParsedCall, containerId: string): string {
  return `${call.config.name}.${containerId}`;
}

/** The WorkloadEndpoint of a pod that has got its addresses (facts 6.8 point 15). */
export function endpointOf(
  call: ParsedCall,
  identity: EndpointIdentity,
  network: { readonly addresses: readonly IpAddr[]; readonly mac: string },
): WorkloadEndpoint {
  const { node, orchestrator, workload, namespace } = identity;
  const { annotations, qosControls } = call.config;
  const nats = floatingNats(annotations.floating ?? [], network.addresses);
  return {
    apiVersion: calicoApiVersion,
    kind: "WorkloadEndpoint",
    metadata: {
      name: identity.wepName,
      namespace,
      labels: {
        ...call.config.labels,
        "projectcalico.org/namespace": namespace,
        "projectcalico.org/orchestrator": orchestrator,
        ...(orchestrator === "k8s" ? { "projectcalico.org/serviceaccount": "default" } : {}),
      },
    },
    spec: {
      orchestrator,
      node,
      ...(orchestrator === "k8s" ? { pod: workload, serviceAccountName: "default" } : { workload }),
      containerID: call.containerId,
      endpoint: call.ifName,
      ipNetworks: network.addresses.map(hostPrefix),
      profiles: [
        `kns.${namespace}`,
        ...(orchestrator === "k8s" ? [`ksa.${namespace}.default`] : []),
      ],
      interfaceName: identity.hostInterface,
      mac: network.mac,
      ports: call.config.ports,
      ...(nats.length === 0 ? {} : { ipNATs: nats }),
      ...(qosControls === undefined ? {} : { qosControls }),
    },
  };
}
