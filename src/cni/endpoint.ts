import { floatingNats } from "../api/kubernetes/floating-addresses.ts";
import { calicoApiVersion } from "../api/meta.ts";
import { vethName, wepName } from "../api/names.ts";
import type { ResourceKey } from "../api/resource-key.ts";
import type { WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import type { IpAddr } from "../lib/ip-addr.ts";
import { hostPrefix } from "../lib/prefix.ts";
import type { AddCall, PodCall } from "./call.ts";

export type EndpointKey = ResourceKey<"WorkloadEndpoint">;

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
export function identityOf(call: PodCall, node: string): EndpointIdentity {
  const orchestrator = call.pod === undefined ? "cni" : "k8s";
  const workload = call.pod?.name ?? call.containerId;
  const namespace = call.pod?.namespace ?? "default";
  const { ifName } = call;
  return {
    node,
    orchestrator,
    workload,
    namespace,
    wepName: wepName({ node, orchestrator, workload, endpoint: ifName }),
    // Another interface of the pod has a name of its own.
    hostInterface: vethName(
      "cali",
      namespace,
      ifName === "eth0" ? workload : `${workload}.${ifName}`,
    ),
    handle: handleOf(call.config.name, call.containerId),
    legacyHandle: `${namespace}.${workload}`,
  };
}

export type EndpointName = Pick<EndpointIdentity, "wepName" | "namespace">;

export function endpointKey({ wepName: name, namespace }: EndpointName): EndpointKey {
  return { kind: "WorkloadEndpoint", name, namespace };
}

/** IPAM's handle of a container of a network (facts 3.6). */
export function handleOf(network: string, containerId: string): string {
  return `${network}.${containerId}`;
}

/**
 * The WorkloadEndpoint of a pod that has got its addresses (facts 6.8 point 15). What a datastore that
 * keeps pods told of it before (`stored`) stays: there the call does not tell.
 */
export function endpointOf(
  call: AddCall,
  identity: EndpointIdentity,
  network: { readonly addresses: readonly IpAddr[]; readonly mac: string },
  stored?: WorkloadEndpoint,
): WorkloadEndpoint {
  const { annotations, qosControls } = call.config;
  const nats = floatingNats(annotations.floating ?? [], network.addresses);
  const sources = annotations.allowedSources ?? [];
  const own = {
    containerID: call.containerId,
    ipNetworks: network.addresses.map(hostPrefix),
    mac: network.mac,
    ...(nats.length === 0 ? {} : { ipNATs: nats }),
    ...(sources.length === 0 ? {} : { allowSpoofedSourcePrefixes: sources }),
    ...(qosControls === undefined ? {} : { qosControls }),
  };
  const told = stored ?? endpointOfCall(call, identity);
  return { ...told, spec: { ...told.spec, ...own } };
}

/** What follows from the call alone. */
function endpointOfCall(call: AddCall, identity: EndpointIdentity): WorkloadEndpoint {
  const { node, orchestrator, workload, namespace } = identity;
  const inKubernetes = orchestrator === "k8s";
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
        ...(inKubernetes ? { "projectcalico.org/serviceaccount": "default" } : {}),
      },
    },
    spec: {
      orchestrator,
      node,
      ...(inKubernetes ? { pod: workload, serviceAccountName: "default" } : { workload }),
      endpoint: call.ifName,
      profiles: inKubernetes
        ? [`kns.${namespace}`, `ksa.${namespace}.default`]
        : [call.config.name],
      interfaceName: identity.hostInterface,
      ports: call.config.ports,
    },
  };
}
