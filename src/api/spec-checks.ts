import type { Kind } from "./resource-of-kind.ts";
import { bgpFilterSpec } from "./schemas/bgp-filter-schema.ts";
import { bgpConfigurationSpec, bgpPeerSpec } from "./schemas/bgp-schema.ts";
import { hostEndpointSpec, workloadEndpointSpec } from "./schemas/endpoint-schema.ts";
import { felixConfigurationSpec } from "./schemas/felix-schema.ts";
import {
  blockAffinitySpec,
  clusterInformationSpec,
  ipamBlockSpec,
  ipamConfigurationSpec,
  ipamHandleSpec,
  ipReservationSpec,
} from "./schemas/ipam-schema.ts";
import { kubeControllersConfigurationSpec } from "./schemas/kube-controllers-schema.ts";
import { leaseSpec, serviceSpec } from "./schemas/kubernetes-schema.ts";
import { nodeSpec } from "./schemas/node-schema.ts";
import { calicoNodeStatusSpec } from "./schemas/node-status-schema.ts";
import {
  globalNetworkPolicySpec,
  networkPolicySpec,
  networkSetSpec,
  profileSpec,
  stagedGlobalNetworkPolicySpec,
  stagedKubernetesNetworkPolicySpec,
  stagedNetworkPolicySpec,
  tierSpec,
} from "./schemas/policy-schema.ts";
import { ipPoolSpec } from "./schemas/pool-schema.ts";
import { type Check, object } from "./schemas/schema.ts";

/** What the spec of each kind may be: what users are held to, and what CRDs are made of. */
export const specChecks: Readonly<Record<Kind, Check>> = {
  BGPConfiguration: bgpConfigurationSpec,
  BGPFilter: bgpFilterSpec,
  BGPPeer: bgpPeerSpec,
  BlockAffinity: blockAffinitySpec,
  CalicoNodeStatus: calicoNodeStatusSpec,
  ClusterInformation: clusterInformationSpec,
  EndpointSlice: object({}),
  FelixConfiguration: felixConfigurationSpec,
  GlobalNetworkPolicy: globalNetworkPolicySpec,
  GlobalNetworkSet: networkSetSpec,
  HostEndpoint: hostEndpointSpec,
  IPAMBlock: ipamBlockSpec,
  IPAMConfiguration: ipamConfigurationSpec,
  IPAMHandle: ipamHandleSpec,
  IPPool: ipPoolSpec,
  IPReservation: ipReservationSpec,
  KubeControllersConfiguration: kubeControllersConfigurationSpec,
  Lease: leaseSpec,
  NetworkPolicy: networkPolicySpec,
  NetworkSet: networkSetSpec,
  Node: nodeSpec,
  Profile: profileSpec,
  Service: serviceSpec,
  StagedGlobalNetworkPolicy: stagedGlobalNetworkPolicySpec,
  StagedKubernetesNetworkPolicy: stagedKubernetesNetworkPolicySpec,
  StagedNetworkPolicy: stagedNetworkPolicySpec,
  Tier: tierSpec,
  WorkloadEndpoint: workloadEndpointSpec,
};
