import type { AnyResource, Kind } from "../api/resource-of-kind.ts";
import type { HostEndpoint } from "../api/resources/host-endpoint.ts";
import type { IPPool } from "../api/resources/ip-pool.ts";
import type { EndpointSlice } from "../api/resources/kubernetes.ts";
import type { GlobalNetworkSet, NetworkSet } from "../api/resources/network-set.ts";
import type { Node } from "../api/resources/node.ts";
import type { GlobalNetworkPolicy, NetworkPolicy, Profile, Tier } from "../api/resources/policy.ts";
import type { WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import { defaultSettings, type PolicySettings, settingsOf } from "./settings.ts";

export type Policy = NetworkPolicy | GlobalNetworkPolicy;

/** All that has a say in what policy does to a packet. */
export interface PolicyCluster {
  readonly endpoints: readonly WorkloadEndpoint[];
  readonly hostEndpoints: readonly HostEndpoint[];
  readonly networkSets: readonly (NetworkSet | GlobalNetworkSet)[];
  readonly policies: readonly Policy[];
  readonly tiers: readonly Tier[];
  readonly profiles: readonly Profile[];
  readonly endpointSlices: readonly EndpointSlice[];
  readonly nodes: readonly Node[];
  /** They tell which packets take a tunnel. */
  readonly pools: readonly IPPool[];
  readonly settings: PolicySettings;
}

/** Kinds that a cluster is made of. Staged policies are not among them: they are never enforced. */
export const policyKinds: readonly Kind[] = [
  "EndpointSlice",
  "FelixConfiguration",
  "GlobalNetworkPolicy",
  "GlobalNetworkSet",
  "HostEndpoint",
  "IPPool",
  "NetworkPolicy",
  "NetworkSet",
  "Node",
  "Profile",
  "Tier",
  "WorkloadEndpoint",
];

/** The cluster that these resources are. Other kinds are passed over. */
export function policyCluster(resources: Iterable<AnyResource>): PolicyCluster {
  const all = [...resources];
  const ofKind = <K extends Kind>(...kinds: readonly K[]) =>
    all.filter((resource): resource is Extract<AnyResource, { kind: K }> =>
      (kinds as readonly string[]).includes(resource.kind),
    );
  const configured = ofKind("FelixConfiguration").find(
    ({ metadata }) => metadata.name === "default",
  );
  return {
    endpoints: ofKind("WorkloadEndpoint"),
    hostEndpoints: ofKind("HostEndpoint"),
    networkSets: ofKind("NetworkSet", "GlobalNetworkSet"),
    policies: ofKind("NetworkPolicy", "GlobalNetworkPolicy"),
    tiers: ofKind("Tier"),
    profiles: ofKind("Profile"),
    endpointSlices: ofKind("EndpointSlice"),
    nodes: ofKind("Node"),
    pools: ofKind("IPPool"),
    settings: configured === undefined ? defaultSettings : settingsOf(configured),
  };
}
