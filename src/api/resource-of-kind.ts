import type { BGPConfiguration, BGPPeer } from "./resources/bgp.ts";
import type { BGPFilter } from "./resources/bgp-filter.ts";
import type { ClusterInformation } from "./resources/cluster-information.ts";
import type { FelixConfiguration } from "./resources/felix-configuration.ts";
import type { IPPool } from "./resources/ip-pool.ts";
import type { BlockAffinity, IPAMBlock, IPAMConfiguration, IPAMHandle } from "./resources/ipam.ts";
import type { KubeControllersConfiguration } from "./resources/kube-controllers-configuration.ts";
import type { EndpointSlice, Lease, Service } from "./resources/kubernetes.ts";
import type { Node } from "./resources/node.ts";
import type { CalicoNodeStatus } from "./resources/node-status.ts";
import type { GlobalNetworkPolicy, NetworkPolicy, Profile, Tier } from "./resources/policy.ts";
import type { WorkloadEndpoint } from "./resources/workload-endpoint.ts";

/** Every kind that a datastore holds, by name. */
export interface ResourceOfKind {
  readonly BGPConfiguration: BGPConfiguration;
  readonly BGPFilter: BGPFilter;
  readonly BGPPeer: BGPPeer;
  readonly BlockAffinity: BlockAffinity;
  readonly CalicoNodeStatus: CalicoNodeStatus;
  readonly ClusterInformation: ClusterInformation;
  readonly EndpointSlice: EndpointSlice;
  readonly FelixConfiguration: FelixConfiguration;
  readonly GlobalNetworkPolicy: GlobalNetworkPolicy;
  readonly IPAMBlock: IPAMBlock;
  readonly IPAMConfiguration: IPAMConfiguration;
  readonly IPAMHandle: IPAMHandle;
  readonly IPPool: IPPool;
  readonly KubeControllersConfiguration: KubeControllersConfiguration;
  readonly Lease: Lease;
  readonly NetworkPolicy: NetworkPolicy;
  readonly Node: Node;
  readonly Profile: Profile;
  readonly Service: Service;
  readonly Tier: Tier;
  readonly WorkloadEndpoint: WorkloadEndpoint;
}

export type Kind = keyof ResourceOfKind;
export type AnyResource = ResourceOfKind[Kind];
