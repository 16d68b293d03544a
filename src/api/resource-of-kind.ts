import type { BGPConfiguration, BGPPeer } from "./resources/bgp.ts";
import type { BGPFilter } from "./resources/bgp-filter.ts";
import type { ClusterInformation } from "./resources/cluster-information.ts";
import type { FelixConfiguration } from "./resources/felix-configuration.ts";
import type { HostEndpoint } from "./resources/host-endpoint.ts";
import type { IPPool } from "./resources/ip-pool.ts";
import type { IPReservation } from "./resources/ip-reservation.ts";
import type { BlockAffinity, IPAMBlock, IPAMConfiguration, IPAMHandle } from "./resources/ipam.ts";
import type { KubeControllersConfiguration } from "./resources/kube-controllers-configuration.ts";
import type { EndpointSlice, Lease, Service } from "./resources/kubernetes.ts";
import type { GlobalNetworkSet, NetworkSet } from "./resources/network-set.ts";
import type { Node } from "./resources/node.ts";
import type { CalicoNodeStatus } from "./resources/node-status.ts";
import type {
  GlobalNetworkPolicy,
  NetworkPolicy,
  Profile,
  StagedGlobalNetworkPolicy,
  StagedKubernetesNetworkPolicy,
  StagedNetworkPolicy,
  Tier,
} from "./resources/policy.ts";
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
  readonly GlobalNetworkSet: GlobalNetworkSet;
  readonly HostEndpoint: HostEndpoint;
  readonly IPAMBlock: IPAMBlock;
  readonly IPAMConfiguration: IPAMConfiguration;
  readonly IPAMHandle: IPAMHandle;
  readonly IPPool: IPPool;
  readonly IPReservation: IPReservation;
  readonly KubeControllersConfiguration: KubeControllersConfiguration;
  readonly Lease: Lease;
  readonly NetworkPolicy: NetworkPolicy;
  readonly NetworkSet: NetworkSet;
  readonly Node: Node;
  readonly Profile: Profile;
  readonly Service: Service;
  readonly StagedGlobalNetworkPolicy: StagedGlobalNetworkPolicy;
  readonly StagedKubernetesNetworkPolicy: StagedKubernetesNetworkPolicy;
  readonly StagedNetworkPolicy: StagedNetworkPolicy;
  readonly Tier: Tier;
  readonly WorkloadEndpoint: WorkloadEndpoint;
}

export type Kind = keyof ResourceOfKind;
export type AnyResource = ResourceOfKind[Kind];
