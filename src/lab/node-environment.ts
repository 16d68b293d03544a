import type { IPPoolSpec } from "../api/resources/ip-pool.ts";
import type { IpFamily } from "../lib/ip-addr.ts";
import { prefixFamily } from "../lib/prefix.ts";
import type { Encapsulation, LabNode, LabPlan, LabRequest } from "./lab-plan.ts";
import type { LabPaths, LabState } from "./lab-state.ts";

/** How the CLI and the nodes find the lab's datastore. */
export function datastoreEnvironment(
  state: LabState,
  paths: LabPaths,
  from: "host" | "node",
): Readonly<Record<string, string>> {
  if (state.request.datastore === "embedded") {
    return { DATASTORE_TYPE: "embedded", TORTIE_DATASTORE_PATH: paths.datastore };
  }
  const endpoint =
    from === "host" ? `http://127.0.0.1:${state.etcdPort}` : `unix://${paths.etcdSocket}`;
  return { DATASTORE_TYPE: "etcdv3", ETCD_ENDPOINTS: endpoint };
}

/** What a pool's spec says of each way to carry its packets. */
export const poolModes: Readonly<Record<Encapsulation, Required<PoolModes>>> = {
  None: { vxlanMode: "Never", ipipMode: "Never" },
  VXLAN: { vxlanMode: "Always", ipipMode: "Never" },
  VXLANCrossSubnet: { vxlanMode: "CrossSubnet", ipipMode: "Never" },
  IPIP: { vxlanMode: "Never", ipipMode: "Always" },
  IPIPCrossSubnet: { vxlanMode: "Never", ipipMode: "CrossSubnet" },
  // An annotation says it (docs/udp-tunnel.md).
  UDP: { vxlanMode: "Never", ipipMode: "Never" },
  UDPCrossSubnet: { vxlanMode: "Never", ipipMode: "Never" },
};
type PoolModes = Pick<IPPoolSpec, "vxlanMode" | "ipipMode">;

/** Environment of one `tortie node`: the variables of the calico-node container. */
export function nodeEnvironment(
  node: LabNode,
  plan: LabPlan,
  state: LabState,
  paths: LabPaths,
): Readonly<Record<string, string>> {
  return {
    ...datastoreEnvironment(state, paths, "node"),
    NODENAME: node.name,
    CLUSTER_TYPE: "lab,bgp",
    CALICO_NETWORKING_BACKEND: "bird",
    ...addressEnvironment(plan),
    ...poolEnvironment(plan, state.request),
    CALICO_NODENAME_FILE: `${paths.nodeFolder(node.name)}/nodename`,
    FELIX_DEFAULTENDPOINTTOHOSTACTION: "ACCEPT",
    FELIX_HEALTHENABLED: "true",
    FELIX_ENDPOINTSTATUSPATHPREFIX: paths.runFolder(node.name),
    TORTIE_RUN_DIR: paths.runFolder(node.name),
    TORTIE_CNI_SOCKET: paths.cniSocket(node.name),
    TORTIE_CNI_SPOOL: paths.cniSpool(node.name),
    TORTIE_MTU_FILE: `${paths.nodeFolder(node.name)}/mtu`,
    TORTIE_FELIX_CFG: `${paths.nodeFolder(node.name)}/felix.cfg`,
    ...felixParameters(),
  };
}

/** Which families the node has. Without an IPv4 address its router ID follows from its name (facts 5.17). */
function addressEnvironment({ families }: LabPlan): Record<string, string> {
  const has = (family: IpFamily) => families.includes(family);
  return {
    IP: has(4) ? "autodetect" : "none",
    IP_AUTODETECTION_METHOD: "interface=eth0",
    IP6: has(6) ? "autodetect" : "none",
    IP6_AUTODETECTION_METHOD: "interface=eth0",
    ...(has(4) ? {} : { CALICO_ROUTER_ID: "hash" }),
  };
}

function poolEnvironment(
  { podCidrs }: LabPlan,
  { encapsulation }: LabRequest,
): Record<string, string> {
  const { vxlanMode, ipipMode } = poolModes[encapsulation];
  const udp = { UDP: "Always", UDPCrossSubnet: "CrossSubnet" }[encapsulation as string] ?? "Never";
  const cidrOf = (family: IpFamily) =>
    podCidrs.find((cidr) => prefixFamily(cidr) === family) ?? "none";
  return {
    CALICO_IPV4POOL_CIDR: cidrOf(4),
    CALICO_IPV4POOL_IPIP: ipipMode,
    CALICO_IPV4POOL_VXLAN: vxlanMode,
    TORTIE_IPV4POOL_UDP: udp,
    CALICO_IPV6POOL_CIDR: cidrOf(6),
    CALICO_IPV6POOL_VXLAN: vxlanMode,
    TORTIE_IPV6POOL_UDP: udp,
  };
}

/** Felix's parameters in the caller's environment go to the nodes, and win over the lab's. */
function felixParameters(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] => entry[0].startsWith("FELIX_") && entry[1] !== undefined,
    ),
  );
}
