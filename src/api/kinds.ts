import type { Kind } from "./resource-of-kind.ts";

/** What a kind is called, and where it lives (facts 2.1, 7.3). */
export interface KindInfo {
  readonly kind: Kind;
  /** Lower case, as in paths of the API and of etcd. */
  readonly plural: string;
  /** Other words for it on the command line, lower case, besides its name and plural. */
  readonly aliases: readonly string[];
  readonly namespaced: boolean;
  /** Absent: Calico's own. */
  readonly apiVersion?: string;
  /** Written by daemons only: a user may look. */
  readonly internal?: true;
}

/** Every kind that a datastore holds. A record by kind, so that none can be forgotten. */
export const kinds: Readonly<Record<Kind, KindInfo>> = {
  BGPConfiguration: {
    kind: "BGPConfiguration",
    plural: "bgpconfigurations",
    aliases: ["bgpconfig", "bgpconfigs"],
    namespaced: false,
  },
  BGPFilter: {
    kind: "BGPFilter",
    plural: "bgpfilters",
    aliases: ["bgpf", "bgpfs", "bf", "bfs"],
    namespaced: false,
  },
  BGPPeer: {
    kind: "BGPPeer",
    plural: "bgppeers",
    aliases: ["bgpp", "bgpps", "bp", "bps"],
    namespaced: false,
  },
  BlockAffinity: {
    kind: "BlockAffinity",
    plural: "blockaffinities",
    aliases: ["affinity", "affinities"],
    namespaced: false,
    internal: true,
  },
  CalicoNodeStatus: {
    kind: "CalicoNodeStatus",
    plural: "caliconodestatuses",
    aliases: ["nodestatus", "nodestatuses"],
    namespaced: false,
  },
  ClusterInformation: {
    kind: "ClusterInformation",
    plural: "clusterinformations",
    aliases: ["clusterinfo", "clusterinfos"],
    namespaced: false,
  },
  EndpointSlice: {
    kind: "EndpointSlice",
    plural: "endpointslices",
    aliases: [],
    namespaced: true,
    apiVersion: "discovery.k8s.io/v1",
  },
  FelixConfiguration: {
    kind: "FelixConfiguration",
    plural: "felixconfigurations",
    aliases: ["felixconfig", "felixconfigs"],
    namespaced: false,
  },
  GlobalNetworkPolicy: {
    kind: "GlobalNetworkPolicy",
    plural: "globalnetworkpolicies",
    aliases: ["gnp", "gnps", "cgnp"],
    namespaced: false,
  },
  GlobalNetworkSet: {
    kind: "GlobalNetworkSet",
    plural: "globalnetworksets",
    aliases: ["gns"],
    namespaced: false,
  },
  HostEndpoint: {
    kind: "HostEndpoint",
    plural: "hostendpoints",
    aliases: ["hep", "heps"],
    namespaced: false,
  },
  IPAMBlock: {
    kind: "IPAMBlock",
    plural: "ipamblocks",
    aliases: [],
    namespaced: false,
    internal: true,
  },
  IPAMConfiguration: {
    kind: "IPAMConfiguration",
    plural: "ipamconfigurations",
    aliases: ["ipamconfig", "ipamconfigs"],
    namespaced: false,
  },
  IPAMHandle: {
    kind: "IPAMHandle",
    plural: "ipamhandles",
    aliases: [],
    namespaced: false,
    internal: true,
  },
  IPPool: {
    kind: "IPPool",
    plural: "ippools",
    aliases: ["ipp", "ipps", "pool", "pools"],
    namespaced: false,
  },
  IPReservation: {
    kind: "IPReservation",
    plural: "ipreservations",
    aliases: ["ipr", "iprs", "reservation", "reservations"],
    namespaced: false,
  },
  KubeControllersConfiguration: {
    kind: "KubeControllersConfiguration",
    plural: "kubecontrollersconfigurations",
    aliases: ["kubecontrollersconfig", "kubecontrollersconfigs", "kcc", "kccs"],
    namespaced: false,
  },
  Lease: {
    kind: "Lease",
    plural: "leases",
    aliases: [],
    namespaced: true,
    apiVersion: "coordination.k8s.io/v1",
    internal: true,
  },
  NetworkPolicy: {
    kind: "NetworkPolicy",
    plural: "networkpolicies",
    aliases: ["policy", "policies", "np", "nps", "pol", "pols", "cnp", "caliconetworkpolicy"],
    namespaced: true,
  },
  NetworkSet: {
    kind: "NetworkSet",
    plural: "networksets",
    aliases: ["netset", "netsets"],
    namespaced: true,
  },
  Node: { kind: "Node", plural: "nodes", aliases: ["no", "nos"], namespaced: false },
  Profile: { kind: "Profile", plural: "profiles", aliases: ["pro", "pros"], namespaced: false },
  Service: {
    kind: "Service",
    plural: "services",
    aliases: ["svc", "svcs"],
    namespaced: true,
    apiVersion: "v1",
  },
  StagedGlobalNetworkPolicy: {
    kind: "StagedGlobalNetworkPolicy",
    plural: "stagedglobalnetworkpolicies",
    aliases: ["sgnp", "sgnps"],
    namespaced: false,
  },
  StagedKubernetesNetworkPolicy: {
    kind: "StagedKubernetesNetworkPolicy",
    plural: "stagedkubernetesnetworkpolicies",
    aliases: ["sknp", "sknps"],
    namespaced: true,
  },
  StagedNetworkPolicy: {
    kind: "StagedNetworkPolicy",
    plural: "stagednetworkpolicies",
    aliases: ["snp", "snps"],
    namespaced: true,
  },
  Tier: { kind: "Tier", plural: "tiers", aliases: [], namespaced: false },
  WorkloadEndpoint: {
    kind: "WorkloadEndpoint",
    plural: "workloadendpoints",
    aliases: ["wep", "weps"],
    namespaced: true,
  },
};

const byWord = new Map(
  Object.values(kinds).flatMap((info) =>
    [info.kind.toLowerCase(), info.plural, ...info.aliases].map((word) => [word, info]),
  ),
);

/** The kind that a user means by a word of the command line, in any case. */
export function kindOfWord(word: string): KindInfo | undefined {
  return byWord.get(word.toLowerCase());
}

/** The kind of exactly this name. */
export function kindNamed(name: string): KindInfo | undefined {
  return Object.hasOwn(kinds, name) ? kinds[name as Kind] : undefined;
}
