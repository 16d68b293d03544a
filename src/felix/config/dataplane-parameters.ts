import {
  failsafePorts,
  interfacePatterns,
  interfacePrefixes,
  markMask,
  tableRanges,
} from "./forms.ts";
import { acts, ignored, type ParameterTable, type TableOf } from "./parameter.ts";
import {
  address,
  choice,
  cidrs,
  duration,
  flag,
  integer,
  matching,
  maybe,
  portRange,
  portRanges,
  regularExpression,
  text,
} from "./types.ts";

import type { CommonValues, IptablesValues } from "./values.ts";

/** Facts appendix A, "Dataplane: Common" and "Dataplane: iptables". */

const required = { required: true } as const;
const inRules = "unit/felix/config/rules-parameters";
const inState = "unit/felix/config/state-parameters";
const notYet = "not built yet";
const noNftables = "the nftables dataplane is not built yet";
const noLiveMigration = "live migration of KubeVirt is not built yet";
const onlyBpf = "of the eBPF dataplane, which we do not have";
const oneDriver = "there is one dataplane";
const wireguard = "unit/felix/dataplane/wireguard-manager";

const onOff = choice("Disabled", "Enabled");
const priority = integer(1, 2147483646);
const device = matching(/^[a-zA-Z0-9:._+-]{1,15}$/, "an interface name of at most 15 characters");
const accepting = choice("ACCEPT", "RETURN");

export const commonParameters: TableOf<CommonValues> = {
  allowIPIPPacketsFromWorkloads: acts(flag, "false", inRules),
  allowVXLANPacketsFromWorkloads: acts(flag, "false", inRules),
  cgroupV2Path: ignored(text, "", onlyBpf),
  chainInsertMode: acts(choice("insert", "append"), "insert", inRules, required),
  dataplaneDriver: ignored(text, "calico-iptables-plugin", oneDriver),
  dataplaneWatchdogTimeout: acts(duration(), "90s", "unit/felix/health/felix-health"),
  defaultEndpointToHostAction: acts(choice("DROP", "ACCEPT", "RETURN"), "DROP", inRules, required),
  deviceRouteProtocol: acts(integer(0, 255), "3", inState),
  deviceRouteSourceAddress: acts(maybe(address(4)), "", inState),
  deviceRouteSourceAddressIPv6: acts(maybe(address(6)), "", inState),
  disableConntrackInvalidCheck: acts(flag, "false", inRules),
  endpointStatusPathPrefix: acts(text, "/var/run/calico", "integration/felix-service"),
  externalNodesList: acts(cidrs, "", inState, { variable: "ExternalNodesCIDRList", ...required }),
  failsafeInboundHostPorts: acts(
    failsafePorts,
    "tcp:22,udp:68,tcp:179,tcp:2379,tcp:2380,tcp:5473,tcp:6443,tcp:6666,tcp:6667",
    inRules,
    required,
  ),
  failsafeOutboundHostPorts: acts(
    failsafePorts,
    "udp:53,udp:67,tcp:179,tcp:2379,tcp:2380,tcp:5473,tcp:6443,tcp:6666,tcp:6667",
    inRules,
    required,
  ),
  floatingIPs: acts(onOff, "Disabled", inRules),
  ipForwarding: acts(onOff, "Enabled", inState),
  ipv4ElevatedRoutePriority: ignored(priority, "512", noLiveMigration),
  ipv4NormalRoutePriority: acts(priority, "1024", inState),
  ipv6ElevatedRoutePriority: ignored(priority, "512", noLiveMigration),
  ipv6NormalRoutePriority: acts(priority, "1024", inState),
  interfaceExclude: acts(interfacePatterns, "kube-ipvs0", inState),
  interfacePrefix: acts(interfacePrefixes, "cali", inRules, required),
  interfaceRefreshInterval: acts(duration(), "90s", inState),
  ipv6Support: acts(flag, "true", inState),
  istioAmbientMode: ignored(onOff, "Disabled", "Istio is not ours"),
  istioDSCPMark: ignored(text, "23", "Istio is not ours"),
  liveMigrationRouteConvergenceTime: ignored(duration(), "30s", noLiveMigration),
  localSubnetL2Reachability: ignored(
    choice("Disabled", "PodsAndLoadBalancers"),
    "Disabled",
    notYet,
  ),
  localSubnetL2ReachabilityRefreshInterval: ignored(duration(), "2m", notYet),
  mtuIfacePattern: acts(
    regularExpression,
    "^((en|wl|ww|sl|ib)[Pcopsvx].*|(eth|wlan|wwan).*)",
    "unit/node/mtu",
  ),
  natOutgoingAddress: acts(maybe(address(4)), "", inRules),
  natOutgoingExclusions: acts(choice("IPPoolsOnly", "IPPoolsAndHostIPs"), "IPPoolsOnly", inRules),
  natPortRange: acts(portRange, "0", inRules),
  nftablesFlowTableDataIfacePattern: ignored(text, "", noNftables),
  nftablesFlowTableOffload: ignored(choice("All", "Disabled"), "Disabled", noNftables),
  nftablesMode: ignored(choice("Auto", "Disabled", "Enabled"), "Auto", noNftables),
  netlinkTimeout: acts(duration(), "10s", "unit/kernel/netlink/socket", {
    variable: "NetlinkTimeoutSecs",
  }),
  policySyncPathPrefix: ignored(text, "", "there is no Dikastes to sync"),
  programClusterRoutes: acts(
    choice("Disabled", "Enabled", "EnabledNoEncapOnly", "EnabledIPIPOnly"),
    "EnabledIPIPOnly",
    inState,
  ),
  removeExternalRoutes: acts(flag, "true", inState),
  requireMTUFile: acts(flag, "false", "unit/node/mtu", {
    note: "without the file the node does not start",
  }),
  routeRefreshInterval: acts(duration(), "90s", inState),
  routeSource: acts(choice("CalicoIPAM", "WorkloadIPs"), "CalicoIPAM", inState),
  routeSyncDisabled: acts(flag, "false", inState),
  routeTableRange: acts(tableRanges, "", wireguard, {
    note: "where routeTableRanges is not set",
  }),
  routeTableRanges: acts(tableRanges, "", wireguard, {
    note: "WireGuard of IPv4 takes the first, of IPv6 the second; 1-250 where none is set",
  }),
  serviceLoopPrevention: acts(choice("Drop", "Reject", "Disabled"), "Drop", inState),
  sidecarAccelerationEnabled: ignored(flag, "false", onlyBpf),
  useInternalDataplaneDriver: ignored(flag, "true", oneDriver),
  workloadSourceSpoofing: acts(choice("Disabled", "Any"), "Disabled", inRules),
};

export const iptablesParameters: TableOf<IptablesValues> = {
  ipsetsRefreshInterval: acts(duration(), "90s", inState),
  iptablesBackend: acts(choice("auto", "nft", "legacy"), "auto", "integration/lab-legacy"),
  iptablesFilterAllowAction: acts(accepting, "ACCEPT", inRules, required),
  iptablesFilterDenyAction: acts(choice("DROP", "REJECT"), "DROP", inRules, required),
  iptablesLockProbeInterval: acts(duration("milliseconds"), "50ms", inState, {
    variable: "IptablesLockProbeIntervalMillis",
  }),
  iptablesMangleAllowAction: acts(accepting, "ACCEPT", inRules, required),
  iptablesMarkMask: acts(markMask, "0xffff0000", inRules, required),
  iptablesNATOutgoingInterfaceFilter: acts(maybe(device), "", inRules),
  iptablesPostWriteCheckInterval: acts(duration(), "5s", inState, {
    variable: "IptablesPostWriteCheckIntervalSecs",
    note: "legacy tables are looked at so long after a write, then twice as late each time, up to 1h; of nft the kernel tells",
  }),
  iptablesRefreshInterval: acts(duration(), "3m", inState),
  kubeNodePortRanges: ignored(
    portRanges,
    "30000:32767",
    "they matter in kube-proxy's IPVS mode alone, which is not served yet",
  ),
  maxIpsetSize: acts(integer(1, 0xffffffff), "1048576", inState),
};

export const nftablesParameters: ParameterTable = {
  nftablesFilterAllowAction: ignored(accepting, "ACCEPT", noNftables),
  nftablesFilterDenyAction: ignored(choice("DROP", "REJECT"), "DROP", noNftables),
  nftablesMangleAllowAction: ignored(accepting, "ACCEPT", noNftables),
  nftablesMarkMask: ignored(markMask, "0xffff0000", noNftables),
  nftablesRefreshInterval: ignored(duration(), "3m", noNftables),
};
