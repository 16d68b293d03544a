import type { Kind } from "../../../src/api/resource-of-kind.ts";
import { felixParameters } from "./felix-parameters.ts";

type Spec = Readonly<Record<string, unknown>>;

const tcp = { protocol: "TCP", ports: [80, "8080:8090", "http"] };
const net = { nets: ["10.0.0.0/8"], notNets: ["10.1.0.0/16"] };
const whom = {
  ...net,
  selector: "app == 'a'",
  notSelector: "has(b)",
  namespaceSelector: "all()",
  ports: tcp.ports,
  notPorts: [81],
  serviceAccounts: { names: ["web"], selector: "has(c)" },
};
const rules = [
  {
    action: "Allow",
    ipVersion: 4,
    protocol: "TCP",
    notProtocol: 17,
    source: whom,
    destination: { ...whom, ports: [443] },
    metadata: { annotations: { why: "because" } },
  },
  { action: "Deny", protocol: "ICMP", icmp: { type: 8, code: 0 }, notICMP: { type: 3, code: 1 } },
];
const httpRule = {
  action: "Allow",
  protocol: "TCP",
  source: { services: { name: "web", namespace: "shop" } },
  http: { methods: ["GET"], paths: [{ exact: "/a" }, { prefix: "/b/" }] },
};
const toService = { action: "Allow", destination: { services: httpRule.source.services } };
const policy = {
  tier: "security",
  order: 10.5,
  selector: "all()",
  types: ["Ingress", "Egress"],
  ingress: [...rules, httpRule],
  egress: [...rules, toService],
  serviceAccountSelector: "has(d)",
  performanceHints: ["AssumeNeededOnEveryNode"],
};
const globalPolicy = {
  ...policy,
  namespaceSelector: "has(e)",
  doNotTrack: false,
  preDNAT: false,
  applyOnForward: true,
};
const filterRule = {
  matchOperator: "In",
  interface: "eth*",
  peerType: "eBGP",
  communities: { values: ["64512:1"] },
  asPathPrefix: [64512],
  priority: 100,
  action: "Accept",
  operations: [
    { addCommunity: { value: "64512:1:2" } },
    { prependASPath: { prefix: [64512] } },
    { setPriority: { value: 5 } },
  ],
};
const v4Filter = { ...filterRule, cidr: "10.0.0.0/8", prefixLength: { min: 16, max: 24 } };
const v6Filter = { ...filterRule, cidr: "fd00::/8", prefixLength: { min: 64, max: 128 } };
const secret = { secretKeyRef: { name: "bgp", key: "password", optional: true } };
const period = { reconcilerPeriod: "5m" };
const port = { name: "http", protocol: "TCP", port: 80 };

const labelSelector = {
  matchLabels: { app: "web" },
  matchExpressions: [{ key: "a", operator: "In", values: ["b"] }],
};
const kubernetesPeers = [
  { podSelector: labelSelector, namespaceSelector: labelSelector },
  { ipBlock: { cidr: "10.0.0.0/8", except: ["10.1.0.0/16"] } },
];

/** A spec of each kind with every field that facts section 2 has; names where not any name will do. */
export const wholeSpecs: Readonly<
  Record<Exclude<Kind, "EndpointSlice" | "Lease" | "Service">, { name?: string; spec: Spec }>
> = {
  BGPConfiguration: {
    name: "default",
    spec: {
      logSeverityScreen: "Info",
      nodeToNodeMeshEnabled: true,
      asNumber: "1.10",
      serviceClusterIPs: [{ cidr: "10.96.0.0/12" }],
      serviceExternalIPs: [{ cidr: "192.0.2.0/24" }],
      serviceLoadBalancerIPs: [{ cidr: "198.51.100.0/24" }],
      serviceLoadBalancerAggregation: "Disabled",
      communities: [{ name: "a", value: "64512:1" }],
      prefixAdvertisements: [{ cidr: "10.0.0.0/8", communities: ["a", "64512:1:2"] }],
      listenPort: 1179,
      nodeMeshPassword: secret,
      nodeMeshMaxRestartTime: "2m",
      bindMode: "NodeIP",
      ignoredInterfaces: ["docker*"],
      localWorkloadPeeringIPV4: "169.254.1.1",
      localWorkloadPeeringIPV6: "fe80::1",
      programClusterRoutes: "Enabled",
      ipv4NormalRoutePriority: 1024,
      ipv6NormalRoutePriority: 1024,
    },
  },
  BGPFilter: {
    spec: {
      exportV4: [{ ...v4Filter, source: "RemotePeers" }],
      importV4: [v4Filter],
      exportV6: [{ ...v6Filter, source: "RemotePeers" }],
      importV6: [v6Filter],
    },
  },
  BGPPeer: {
    spec: {
      node: "node1",
      peerIP: "192.0.2.1:1179",
      asNumber: 64513,
      localASNumber: 64514,
      nextHopMode: "Keep",
      password: secret,
      sourceAddress: "None",
      maxRestartTime: "90s",
      keepaliveTime: "10s",
      numAllowedLocalASNumbers: 1,
      ttlSecurity: 1,
      reachableBy: "192.0.2.254",
      filters: ["a"],
      reversePeering: "Manual",
    },
  },
  BlockAffinity: {
    name: "node1-10-0-0-64-26",
    spec: {
      state: "confirmed",
      node: "node1",
      type: "host",
      cidr: "10.0.0.64/26",
      deleted: false,
    },
  },
  CalicoNodeStatus: {
    spec: { node: "node1", classes: ["Agent", "BGP", "Routes"], updatePeriodSeconds: 86400 },
  },
  ClusterInformation: {
    name: "default",
    spec: {
      clusterGUID: "a",
      clusterType: "k8s,bgp",
      calicoVersion: "v3.32",
      datastoreReady: true,
      variant: "Calico",
      cnxVersion: "",
    },
  },
  FelixConfiguration: {
    name: "felix",
    spec: {
      ...Object.fromEntries(felixParameters.map(([name, accepted]) => [name, accepted])),
      nodeSelector: "has(rack)",
      wireguardHostEncryption: "Enabled",
    },
  },
  GlobalNetworkPolicy: { spec: globalPolicy },
  GlobalNetworkSet: { spec: { nets: ["10.0.0.0/8", "fd00::1/128"] } },
  HostEndpoint: {
    spec: {
      node: "node1",
      interfaceName: "eth0",
      expectedIPs: ["192.0.2.1", "fd00::1"],
      profiles: ["projectcalico-default-allow"],
      ports: [port],
    },
  },
  IPAMBlock: {
    name: "10-0-0-64-30",
    spec: {
      cidr: "10.0.0.64/30",
      affinity: "host:node1",
      affinityClaimTime: "2026-08-22T10:00:00Z",
      allocations: [0, null, null, null],
      unallocated: [1, 2, 3],
      attributes: [
        {
          handle_id: "h",
          secondary: { pod: "p" },
          alternateOwnerAttrs: { pod: "q" },
          releasedAt: "2026-08-22T10:00:00Z",
        },
      ],
      sequenceNumber: 7,
      sequenceNumberForAllocation: { "0": 1 },
      deleted: false,
      strictAffinity: false,
    },
  },
  IPAMConfiguration: {
    name: "default",
    spec: {
      strictAffinity: true,
      autoAllocateBlocks: false,
      maxBlocksPerHost: 1_000_000,
      kubeVirtVMAddressPersistence: "Disabled",
      ipCooldownSeconds: 1200,
    },
  },
  IPAMHandle: { name: "h", spec: { handleID: "h", block: { "10.0.0.64/30": 1 }, deleted: false } },
  IPPool: {
    spec: {
      cidr: "10.0.0.0/16",
      blockSize: 20,
      ipipMode: "CrossSubnet",
      vxlanMode: "Never",
      natOutgoing: true,
      disabled: false,
      disableBGPExport: true,
      nodeSelector: "has(rack)",
      namespaceSelector: "has(team)",
      allowedUses: ["Workload"],
      assignmentMode: "Manual",
    },
  },
  IPReservation: { spec: { reservedCIDRs: ["10.0.0.0/28", "10.0.1.1"] } },
  KubeControllersConfiguration: {
    name: "default",
    spec: {
      logSeverityScreen: "Info",
      healthChecks: "Enabled",
      etcdV3CompactionPeriod: "10m",
      prometheusMetricsPort: 9094,
      debugProfilePort: 0,
      controllers: {
        node: {
          ...period,
          syncLabels: "Enabled",
          leakGracePeriod: "15m",
          hostEndpoint: {
            autoCreate: "Disabled",
            createDefaultHostEndpoint: "Enabled",
            templates: [
              {
                generateName: "t",
                interfaceCIDRs: ["192.0.2.0/24"],
                interfacePattern: "^eth",
                labels: { a: "b" },
                annotations: { c: "d" },
                nodeSelector: "all()",
              },
            ],
          },
        },
        policy: period,
        workloadEndpoint: period,
        serviceAccount: period,
        namespace: period,
        loadBalancer: { assignIPs: "AllServices" },
        migration: { policyNameMigrator: "Enabled" },
      },
    },
  },
  NetworkPolicy: { spec: policy },
  NetworkSet: { spec: { nets: ["10.0.0.0/8"] } },
  Node: {
    spec: {
      bgp: {
        ipv4Address: "192.0.2.1/24",
        ipv6Address: "fd00::1/64",
        asNumber: 64512,
        routeReflectorClusterID: "1.0.0.1",
        ipv4IPIPTunnelAddr: "10.0.0.1",
      },
      ipv4VXLANTunnelAddr: "10.0.0.2",
      vxlanTunnelMACAddr: "66:f9:37:c3:7e:94",
      ipv6VXLANTunnelAddr: "fd00:1::1",
      vxlanTunnelMACAddrV6: "66:0f:35:f2:60:df",
      wireguard: { interfaceIPv4Address: "10.0.0.3", interfaceIPv6Address: "fd00:1::2" },
      interfaces: [{ name: "eth0", addresses: ["192.0.2.1"] }],
      addresses: [{ address: "192.0.2.1", type: "CalicoNodeIP" }],
      orchRefs: [{ nodeName: "node1", orchestrator: "k8s" }],
    },
  },
  Profile: {
    spec: {
      ingress: [...rules, httpRule],
      egress: [...rules, toService],
      labelsToApply: { a: "b" },
    },
  },
  StagedGlobalNetworkPolicy: { spec: { ...globalPolicy, stagedAction: "Learn" } },
  StagedKubernetesNetworkPolicy: {
    spec: {
      podSelector: labelSelector,
      policyTypes: ["Ingress"],
      ingress: [
        {
          from: kubernetesPeers,
          ports: [{ protocol: "TCP", port: 80, endPort: 90 }],
        },
      ],
      egress: [{ to: kubernetesPeers, ports: [{ protocol: "UDP", port: 80, endPort: 90 }] }],
      stagedAction: "Ignore",
    },
  },
  StagedNetworkPolicy: { spec: { ...policy, stagedAction: "Set" } },
  Tier: { name: "security", spec: { order: 100, defaultAction: "Pass" } },
  WorkloadEndpoint: {
    name: "node1-k8s-web-eth0",
    spec: {
      orchestrator: "k8s",
      workload: "w",
      node: "node1",
      containerID: "c",
      pod: "web",
      endpoint: "eth0",
      serviceAccountName: "default",
      ipNetworks: ["10.0.0.5/32", "fd00:1::5"],
      ipNATs: [{ internalIP: "10.0.0.5", externalIP: "192.0.2.5" }],
      ipv4Gateway: "169.254.1.1",
      ipv6Gateway: "fe80::1",
      profiles: ["kns.default"],
      interfaceName: "cali0d7763386da",
      mac: "66:f9:37:c3:7e:94",
      ports: [{ ...port, hostPort: 8080, hostIP: "192.0.2.1" }],
      allowSpoofedSourcePrefixes: ["10.9.0.0/16"],
      qosControls: {
        ...bothWays("Bandwidth", 1_000_000),
        ...bothWays("Burst", 4_294_967_296),
        ...bothWays("Peakrate", 2_000_000),
        ...bothWays("Minburst", 1_500),
        ...bothWays("PacketRate", 100),
        ...bothWays("PacketBurst", 5),
        ...bothWays("MaxConnections", 10),
        dscp: "AF11",
      },
    },
  },
};

function bothWays(limit: string, value: number): Readonly<Record<string, number>> {
  return { [`ingress${limit}`]: value, [`egress${limit}`]: value };
}
