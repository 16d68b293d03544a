import { podSelectorText } from "../../api/kubernetes/label-selector.ts";
import { namespaceOfProfile } from "../../api/kubernetes/namespace.ts";
import { kubernetesPolicyOf } from "../../api/kubernetes/network-policy.ts";
import type { Resource } from "../../api/meta.ts";
import type { AnyResource, Kind, ResourceOfKind } from "../../api/resource-of-kind.ts";
import type { BGPPeerSpec } from "../../api/resources/bgp.ts";
import type { NetworkPolicySpec } from "../../api/resources/policy.ts";
import type { View } from "../views.ts";

/** One column of a table: its heading, and a cell of what is stored. */
export interface Column {
  readonly heading: string;
  value(resource: AnyResource, context: ColumnContext): string;
}

/** What cells need that is not in their object. */
export interface ColumnContext {
  /** AS number of nodes that do not say (BGPConfiguration "default"). */
  readonly globalAsNumber: string;
}

/** Columns after NAME, without and with `-o wide` (facts appendix C). */
export interface TableColumns {
  readonly ps: readonly Column[];
  readonly wide: readonly Column[];
}

/** Stands for what is not there. */
const absent = "-";

type CellOf<K extends Kind> = (
  resource: ResourceOfKind[K],
  context: ColumnContext,
) => string | number | boolean | undefined;

/** Columns of a kind: "HEADING" to its cell. */
function columns<K extends Kind>(cells: Readonly<Record<string, CellOf<K>>>): readonly Column[] {
  return Object.entries(cells).map(([heading, cell]) => ({
    heading,
    value: (resource, context) => {
      const value = cell(resource as ResourceOfKind[K], context);
      return value === undefined || value === "" ? absent : String(value);
    },
  }));
}

function same(all: readonly Column[]): TableColumns {
  return { ps: all, wide: all };
}

type Policy =
  | "NetworkPolicy"
  | "GlobalNetworkPolicy"
  | "StagedNetworkPolicy"
  | "StagedGlobalNetworkPolicy";
type PolicyResource = Resource<Policy, NetworkPolicySpec>;

const policyColumns: TableColumns = {
  ps: columns<Policy>({ TIER: ({ spec }) => spec.tier ?? "default" }),
  wide: columns<Policy>({
    TIER: ({ spec }) => spec.tier ?? "default",
    ORDER: ({ spec }: PolicyResource) => spec.order,
    SELECTOR: ({ spec }) => spec.selector,
  }),
};

const tables: Readonly<Record<View["table"], TableColumns>> = {
  BGPConfiguration: same(
    columns<"BGPConfiguration">({
      LOGSEVERITY: ({ spec }) => spec.logSeverityScreen,
      MESHENABLED: ({ spec }) => spec.nodeToNodeMeshEnabled,
      ASNUMBER: ({ spec }) => spec.asNumber,
    }),
  ),
  BGPFilter: same(
    columns<"BGPFilter">({
      NUMEXPORTV4: ({ spec }) => spec.exportV4?.length ?? 0,
      NUMIMPORTV4: ({ spec }) => spec.importV4?.length ?? 0,
      NUMEXPORTV6: ({ spec }) => spec.exportV6?.length ?? 0,
      NUMIMPORTV6: ({ spec }) => spec.importV6?.length ?? 0,
    }),
  ),
  BGPPeer: same(
    columns<"BGPPeer">({
      PEERIP: ({ spec }) => spec.peerIP || spec.peerSelector || spec.localWorkloadSelector,
      NODE: ({ spec }) => nodesOfPeer(spec),
      ASN: ({ spec }) => spec.asNumber ?? 0,
    }),
  ),
  BlockAffinity: same(
    columns<"BlockAffinity">({
      CIDR: ({ spec }) => spec.cidr,
      NODE: ({ spec }) => spec.node,
      STATE: ({ spec }) => spec.state,
    }),
  ),
  CalicoNodeStatus: {
    ps: columns<"CalicoNodeStatus">({ NODE: ({ spec }) => spec.node }),
    wide: columns<"CalicoNodeStatus">({
      NODE: ({ spec }) => spec.node,
      CLASSES: ({ spec }) => spec.classes.join(","),
    }),
  },
  ClusterNetworkPolicy: same(
    columns<"GlobalNetworkPolicy">({
      TIER: ({ spec }) => spec.tier,
      PRIORITY: ({ spec }) => spec.order,
    }),
  ),
  ClusterInformation: same(
    columns<"ClusterInformation">({
      CLUSTERGUID: ({ spec }) => spec.clusterGUID,
      CLUSTERTYPE: ({ spec }) => spec.clusterType,
      CALICOVERSION: ({ spec }) => spec.calicoVersion,
      DATASTOREREADY: ({ spec }) => spec.datastoreReady,
    }),
  ),
  EndpointSlice: same(
    columns<"EndpointSlice">({
      ADDRESSTYPE: ({ addressType }) => addressType,
      ENDPOINTS: ({ endpoints = [] }) =>
        endpoints.flatMap(({ addresses = [] }) => addresses).join(","),
    }),
  ),
  FelixConfiguration: same([]),
  GlobalNetworkPolicy: policyColumns,
  GlobalNetworkSet: {
    ps: [],
    wide: columns<"GlobalNetworkSet">({ NETS: ({ spec }) => spec.nets?.join(",") }),
  },
  HostEndpoint: {
    ps: columns<"HostEndpoint">({ NODE: ({ spec }) => spec.node }),
    wide: columns<"HostEndpoint">({
      NODE: ({ spec }) => spec.node,
      INTERFACE: ({ spec }) => spec.interfaceName,
      IPS: ({ spec }) => spec.expectedIPs?.join(","),
      PROFILES: ({ spec }) => spec.profiles?.join(","),
    }),
  },
  IPAMBlock: same(
    columns<"IPAMBlock">({
      CIDR: ({ spec }) => spec.cidr,
      AFFINITY: ({ spec }) => spec.affinity,
      FREE: ({ spec }) => spec.unallocated.length,
    }),
  ),
  IPAMConfiguration: {
    ps: columns<"IPAMConfiguration">({
      STRICTAFFINITY: ({ spec }) => spec.strictAffinity ?? false,
      AUTOALLOCATEBLOCKS: ({ spec }) => spec.autoAllocateBlocks ?? true,
    }),
    wide: columns<"IPAMConfiguration">({
      STRICTAFFINITY: ({ spec }) => spec.strictAffinity ?? false,
      AUTOALLOCATEBLOCKS: ({ spec }) => spec.autoAllocateBlocks ?? true,
      MAXBLOCKSPERHOST: ({ spec }) => spec.maxBlocksPerHost ?? 0,
    }),
  },
  IPAMHandle: same(
    columns<"IPAMHandle">({ BLOCKS: ({ spec }) => Object.keys(spec.block).join(",") }),
  ),
  IPPool: {
    ps: columns<"IPPool">({
      CIDR: ({ spec }) => spec.cidr,
      SELECTOR: ({ spec }) => spec.nodeSelector ?? "all()",
    }),
    wide: columns<"IPPool">({
      CIDR: ({ spec }) => spec.cidr,
      NAT: ({ spec }) => spec.natOutgoing ?? false,
      IPIPMODE: ({ spec }) => spec.ipipMode ?? "Never",
      VXLANMODE: ({ spec }) => spec.vxlanMode ?? "Never",
      DISABLED: ({ spec }) => spec.disabled ?? false,
      DISABLEBGPEXPORT: ({ spec }) => spec.disableBGPExport ?? false,
      SELECTOR: ({ spec }) => spec.nodeSelector ?? "all()",
      ASSIGNMENTMODE: ({ spec }) => spec.assignmentMode ?? "Automatic",
    }),
  },
  KubernetesNetworkPolicy: {
    ps: [],
    wide: columns<"NetworkPolicy">({
      PODSELECTOR: (policy) => {
        const written = kubernetesPolicyOf(policy);
        return written === undefined
          ? policy.spec.selector
          : podSelectorText(written.spec.podSelector);
      },
    }),
  },
  Namespace: {
    ps: [],
    wide: columns<"Profile">({
      LABELS: (profile) => pairs(namespaceOfProfile(profile)?.metadata.labels),
    }),
  },
  IPReservation: {
    ps: [],
    wide: columns<"IPReservation">({ CIDRS: ({ spec }) => spec.reservedCIDRs?.join(",") }),
  },
  KubeControllersConfiguration: same([]),
  Lease: same(
    columns<"Lease">({
      HOLDER: ({ spec }) => spec.holderIdentity,
      RENEWED: ({ spec }) => spec.renewTime,
    }),
  ),
  NetworkPolicy: policyColumns,
  NetworkSet: {
    ps: [],
    wide: columns<"NetworkSet">({ NETS: ({ spec }) => spec.nets?.join(",") }),
  },
  Node: {
    ps: [],
    wide: columns<"Node">({
      ASN: ({ spec }, { globalAsNumber }) => spec.bgp?.asNumber ?? `(${globalAsNumber})`,
      IPV4: ({ spec }) => spec.bgp?.ipv4Address,
      IPV6: ({ spec }) => spec.bgp?.ipv6Address,
    }),
  },
  Profile: {
    ps: [],
    wide: columns<"Profile">({ LABELS: ({ spec }) => pairs(spec.labelsToApply) }),
  },
  Service: same(
    columns<"Service">({
      TYPE: ({ spec }) => spec.type ?? "ClusterIP",
      "CLUSTER-IP": ({ spec }) => spec.clusterIP,
      "EXTERNAL-IP": ({ spec, status }) =>
        [
          ...(status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip ?? hostname),
          ...(spec.externalIPs ?? []),
        ].join(","),
    }),
  ),
  StagedGlobalNetworkPolicy: policyColumns,
  StagedKubernetesNetworkPolicy: {
    ps: [],
    wide: columns<"StagedKubernetesNetworkPolicy">({
      PODSELECTOR: ({ spec }) => podSelectorText(spec.podSelector),
    }),
  },
  StagedNetworkPolicy: policyColumns,
  Tier: same(columns<"Tier">({ ORDER: ({ spec }) => spec.order })),
  WorkloadEndpoint: {
    ps: columns<"WorkloadEndpoint">(endpointCells()),
    wide: columns<"WorkloadEndpoint">({
      ...endpointCells(),
      PROFILES: ({ spec }) => spec.profiles?.join(","),
      NATS: ({ spec }) =>
        spec.ipNATs?.map((nat) => `${nat.externalIP}->${nat.internalIP}`).join(","),
    }),
  },
};

/** The columns of a view's table, after NAMESPACE and NAME. */
export function columnsOf(view: View): TableColumns {
  return tables[view.table];
}

function endpointCells(): Readonly<Record<string, CellOf<"WorkloadEndpoint">>> {
  return {
    WORKLOAD: ({ spec }) => spec.pod ?? spec.workload,
    NODE: ({ spec }) => spec.node,
    NETWORKS: ({ spec }) => spec.ipNetworks?.join(","),
    INTERFACE: ({ spec }) => spec.interfaceName,
  };
}

function nodesOfPeer(spec: BGPPeerSpec): string {
  return spec.node || spec.nodeSelector || "(global)";
}

function pairs(labels: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}
