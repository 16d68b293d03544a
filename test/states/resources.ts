import { calicoApiVersion } from "../../src/api/meta.ts";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import type { ClusterInformation } from "../../src/api/resources/cluster-information.ts";
import type { HostEndpoint, HostEndpointSpec } from "../../src/api/resources/host-endpoint.ts";
import type { IPPool, IPPoolSpec } from "../../src/api/resources/ip-pool.ts";
import type { IPAMBlock } from "../../src/api/resources/ipam.ts";
import { type EndpointSlice, serviceNameLabel } from "../../src/api/resources/kubernetes.ts";
import type { GlobalNetworkSet, NetworkSet } from "../../src/api/resources/network-set.ts";
import type { Node, NodeSpec } from "../../src/api/resources/node.ts";
import type {
  GlobalNetworkPolicy,
  GlobalNetworkPolicySpec,
  NetworkPolicy,
  NetworkPolicySpec,
  Profile,
  ProfileSpec,
  Tier,
  TierSpec,
} from "../../src/api/resources/policy.ts";
import type { EntityRule } from "../../src/api/resources/rule.ts";
import type {
  WorkloadEndpoint,
  WorkloadEndpointSpec,
} from "../../src/api/resources/workload-endpoint.ts";

/** Short ways to say what a cluster holds. `me` is the node under test. */

export const me = "node-a";

function resource<R extends AnyResource>(
  kind: R["kind"],
  name: string,
  content: { readonly spec: R["spec"]; readonly namespace?: string; readonly labels?: object },
): R {
  const { spec, ...metadata } = content;
  return { apiVersion: calicoApiVersion, kind, metadata: { name, ...metadata }, spec } as R;
}

/** Of a datastore that is open, or locked. */
export function clusterInformation(datastoreReady: boolean): ClusterInformation {
  return resource<ClusterInformation>("ClusterInformation", "default", {
    spec: { datastoreReady },
  });
}

/** A pod of namespace "prod" unless said, with the profile of its namespace. */
export function pod(
  name: string,
  options: {
    readonly node?: string;
    readonly ip: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  } & Partial<WorkloadEndpointSpec>,
): WorkloadEndpoint {
  const { node = me, ip, namespace = "prod", labels = {}, ...spec } = options;
  return resource<WorkloadEndpoint>("WorkloadEndpoint", name, {
    namespace,
    labels: {
      ...labels,
      "projectcalico.org/namespace": namespace,
      "projectcalico.org/orchestrator": "k8s",
    },
    spec: {
      orchestrator: "k8s",
      node,
      pod: name,
      endpoint: "eth0",
      ipNetworks: [ip],
      profiles: [`kns.${namespace}`],
      interfaceName: `cali${name}`,
      mac: "02:00:00:00:00:01",
      ...spec,
    },
  });
}

export function profile(name: string, spec: ProfileSpec = allowAll): Profile {
  return resource<Profile>("Profile", name, { spec });
}

const allowAll: ProfileSpec = {
  ingress: [{ action: "Allow" }],
  egress: [{ action: "Allow" }],
  labelsToApply: { "pcns.env": "production" },
};

export function policy(name: string, spec: NetworkPolicySpec, namespace = "prod"): NetworkPolicy {
  return resource<NetworkPolicy>("NetworkPolicy", name, { namespace, spec });
}

export function globalPolicy(name: string, spec: GlobalNetworkPolicySpec): GlobalNetworkPolicy {
  return resource<GlobalNetworkPolicy>("GlobalNetworkPolicy", name, { spec });
}

/** The part of a policy that lets in from there, and from nowhere else. */
export function allowFrom(source: EntityRule): Pick<NetworkPolicySpec, "types" | "ingress"> {
  return { types: ["Ingress"], ingress: [{ action: "Allow", source }] };
}

/** A local pod of app "web", and the profile of its namespace. */
export const web1: WorkloadEndpoint = pod("web1", { ip: "10.0.0.1/32", labels: { app: "web" } });
export const webHere: readonly AnyResource[] = [web1, profile("kns.prod")];

/** A host endpoint of this node unless said. */
export function hostEndpoint(
  name: string,
  options: { readonly node?: string; readonly labels?: object } & Partial<HostEndpointSpec>,
): HostEndpoint {
  const { node = me, labels = {}, ...spec } = options;
  return resource<HostEndpoint>("HostEndpoint", name, { labels, spec: { node, ...spec } });
}

/** A set of a namespace, or a global one. */
export function networkSet(
  name: string,
  nets: readonly string[],
  { namespace, labels }: { readonly namespace?: string; readonly labels: object },
): NetworkSet | GlobalNetworkSet {
  return namespace === undefined
    ? resource<GlobalNetworkSet>("GlobalNetworkSet", name, { labels, spec: { nets } })
    : resource<NetworkSet>("NetworkSet", name, { namespace, labels, spec: { nets } });
}

/** Endpoints of service "<namespace>/<service>", all with the same ports. */
export function endpointSlice(
  name: string,
  service: string,
  content: Pick<EndpointSlice, "ports"> & { readonly addresses: readonly string[] },
): EndpointSlice {
  const { addresses, ports = [] } = content;
  const [namespace = "", of = ""] = service.split("/");
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name, namespace, labels: { [serviceNameLabel]: of } },
    spec: {},
    addressType: "IPv4",
    endpoints: addresses.map((address) => ({ addresses: [address] })),
    ports,
  };
}

export function tier(name: string, spec: TierSpec): Tier {
  return resource<Tier>("Tier", name, { spec });
}

export function pool(name: string, cidr: string, spec: Partial<IPPoolSpec> = {}): IPPool {
  return resource<IPPool>("IPPool", name, { spec: { cidr, natOutgoing: true, ...spec } });
}

export function node(name: string, address: string, spec: Partial<NodeSpec> = {}): Node {
  return resource<Node>("Node", name, { spec: { bgp: { ipv4Address: address }, ...spec } });
}

/** A /29 of `owner`; `users` are nodes by ordinal. */
export function block(
  cidr: string,
  owner: string | undefined,
  users: Readonly<Record<number, string>> = {},
): IPAMBlock {
  const entries = Object.entries(users);
  const allocations: (number | null)[] = Array.from({ length: 8 }, () => null);
  for (const [i, [ordinal]] of entries.entries()) allocations[Number(ordinal)] = i;
  return resource<IPAMBlock>("IPAMBlock", cidr.replaceAll(/[./:]/g, "-"), {
    spec: {
      cidr,
      ...(owner === undefined ? {} : { affinity: `host:${owner}` }),
      allocations,
      unallocated: allocations.flatMap((index, ordinal) => (index === null ? [ordinal] : [])),
      attributes: entries.map(([, user]) => ({ secondary: { node: user } })),
      sequenceNumber: 1n,
      sequenceNumberForAllocation: {},
    },
  });
}
