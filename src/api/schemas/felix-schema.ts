import { duration, ipAddressOf, net, numericPort, protocol, selector } from "./fields.ts";
import {
  anything,
  array,
  boolean,
  type Check,
  described,
  integer,
  matching,
  mustBe,
  numberOr,
  object,
  oneOf,
  oneOfAnyCase,
  type Report,
  refuse,
  shown,
  text,
} from "./schema.ts";

/**
 * FelixConfiguration.spec: every field of facts appendix A that has a place in the resource. What a
 * field does is felix' affair; here its name and type are known, so that a slip is not ignored.
 */

const booleans = `healthEnabled prometheusGoMetricsEnabled prometheusMetricsEnabled
  prometheusProcessMetricsEnabled prometheusWireGuardMetricsEnabled allowIPIPPacketsFromWorkloads
  allowVXLANPacketsFromWorkloads disableConntrackInvalidCheck ipv6Support removeExternalRoutes
  requireMTUFile routeSyncDisabled sidecarAccelerationEnabled useInternalDataplaneDriver
  endpointReportingEnabled genericXDPEnabled xdpEnabled vxlanEnabled ipipEnabled wireguardEnabled
  wireguardEnabledV6 wireguardHostEncryptionEnabled wireguardThreadingEnabled
  flowLogsCollectorDebugTrace usageReportingEnabled`;

const durations = `dataplaneWatchdogTimeout interfaceRefreshInterval
  liveMigrationRouteConvergenceTime localSubnetL2ReachabilityRefreshInterval netlinkTimeout
  routeRefreshInterval ipsetsRefreshInterval iptablesLockProbeInterval
  iptablesPostWriteCheckInterval iptablesRefreshInterval nftablesRefreshInterval
  endpointReportingDelay reportingInterval reportingTTL xdpRefreshInterval wireguardKeepAlive
  flowLogsFlushInterval pathCheckInterval usageReportingInitialDelay usageReportingInterval`;

const texts = `featureDetectOverride featureGates logFilePath logPrefix prometheusMetricsCAFile
  prometheusMetricsCertFile prometheusMetricsKeyFile cgroupV2Path dataplaneDriver
  endpointStatusPathPrefix interfaceExclude policySyncPathPrefix flowLogsGoldmaneServer`;

const expressions = `logDebugFilenameRegex mtuIfacePattern nftablesFlowTableDataIfacePattern`;

const host = matching(/^[a-zA-Z0-9:._+-]{1,64}$/, "a host name or an address");
const device = matching(/^[a-zA-Z0-9:._+-]{1,15}$/, "an interface name of at most 15 characters");
/** In Go's syntax, which has flags in front and names groups in its own way. */
const regularExpression = text((value) => {
  if (isExpression(value.replace(/^\(\?[imsU]+\)/, "").replaceAll("(?P<", "(?<"))) return;
  throw new SyntaxError(`must be a regular expression, got ${shown(value)}`);
});

function isExpression(source: string): boolean {
  try {
    return new RegExp(source) instanceof RegExp;
  } catch {
    return false;
  }
}

const packetRate = matching(
  /^([1-9]\d{0,3}\/(second|minute|hour|day))?$/,
  'a rate such as "10/minute"',
);

/** Texts of a form of their own. */
const forms: Readonly<Record<string, Check>> = {
  healthHost: host,
  prometheusMetricsHost: host,
  logActionRateLimit: packetRate,
  policyDenialLogRateLimit: packetRate,
  deviceRouteSourceAddress: ipAddressOf(4),
  deviceRouteSourceAddressIPv6: ipAddressOf(6),
  natOutgoingAddress: ipAddressOf(4),
  interfacePrefix: matching(
    /^[a-zA-Z0-9_-]{1,15}(,[a-zA-Z0-9_-]{1,15})*$/,
    "what interface names begin with, parted by commas",
  ),
  metadataAddr: matching(/^[a-zA-Z0-9_.-]+$/, "a host name or an address"),
  openstackRegion: matching(
    /^(?=.{0,46}$)([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$/,
    "a DNS label of at most 46 characters",
  ),
  iptablesNATOutgoingInterfaceFilter: device,
  wireguardInterfaceName: device,
  wireguardInterfaceNameV6: device,
};

/** Names and their ranges. */
const integers: Readonly<Record<string, readonly [min: number, max: number]>> = {
  goGCThreshold: [-1, Number.MAX_SAFE_INTEGER],
  goMaxProcs: [-1, Number.MAX_SAFE_INTEGER],
  goMemoryLimitMB: [-1, Number.MAX_SAFE_INTEGER],
  healthPort: [0, 65535],
  logActionRateLimitBurst: [0, 9999],
  policyDenialLogRateLimitBurst: [0, 9999],
  prometheusMetricsPort: [0, 65535],
  deviceRouteProtocol: [0, 255],
  ipv4ElevatedRoutePriority: [1, 2147483646],
  ipv4NormalRoutePriority: [1, 2147483646],
  ipv6ElevatedRoutePriority: [1, 2147483646],
  ipv6NormalRoutePriority: [1, 2147483646],
  iptablesMarkMask: [0, 0xffffffff],
  nftablesMarkMask: [0, 0xffffffff],
  maxIpsetSize: [1, 0xffffffff],
  metadataPort: [0, 65535],
  pathCheckPort: [1, 65535],
  pathCheckPeers: [1, 100],
  vxlanMTU: [0, 65535],
  vxlanMTUV6: [0, 65535],
  vxlanPort: [0, 65535],
  vxlanVNI: [0, 0xffffff],
  ipipMTU: [0, 65535],
  ip6TunnelMTU: [0, 65535],
  udpMTU: [0, 65535],
  udpPort: [1, 65535],
  wireguardListeningPort: [0, 65535],
  wireguardListeningPortV6: [0, 65535],
  wireguardMTU: [0, 65535],
  wireguardMTUV6: [0, 65535],
  wireguardRoutingRulePriority: [0, 0xffffffff],
};

const severity = ["Trace", "Debug", "Info", "Warning", "Error", "Fatal", "None"];
const enabled = ["Disabled", "Enabled"];
const allow = ["Accept", "Return"];
const deny = ["Drop", "Reject"];
const routes = ["Disabled", "EnabledIPIPOnly", "EnabledNoEncapOnly", "Enabled"];

const choices: Readonly<Record<string, readonly string[]>> = {
  logSeverityFile: severity,
  logSeverityScreen: severity,
  logSeveritySys: severity,
  chainInsertMode: ["Insert", "Append"],
  defaultEndpointToHostAction: ["Drop", "Accept", "Return"],
  floatingIPs: enabled,
  ipForwarding: enabled,
  istioAmbientMode: enabled,
  localSubnetL2Reachability: ["Disabled", "PodsAndLoadBalancers"],
  natOutgoingExclusions: ["IPPoolsOnly", "IPPoolsAndHostIPs"],
  nftablesFlowTableOffload: ["All", "Disabled"],
  nftablesMode: ["Auto", "Disabled", "Enabled"],
  programClusterRoutes: routes,
  routeSource: ["CalicoIPAM", "WorkloadIPs"],
  serviceLoopPrevention: ["Drop", "Reject", "Disabled"],
  workloadSourceSpoofing: ["Disabled", "Any"],
  iptablesBackend: ["Auto", "Legacy", "NFT"],
  iptablesFilterAllowAction: allow,
  iptablesFilterDenyAction: deny,
  iptablesMangleAllowAction: allow,
  nftablesFilterAllowAction: allow,
  nftablesFilterDenyAction: deny,
  nftablesMangleAllowAction: allow,
  windowsManageFirewallRules: enabled,
  flowLogsLocalReporter: enabled,
  policyDenialLogs: enabled,
  pathChecks: enabled,
  flowLogsPolicyEvaluationMode: ["None", "Continuous"],
  awsSrcDstCheck: ["DoNothing", "Enable", "Disable"],
  prometheusMetricsClientAuth: [
    "NoClientCert",
    "RequestClientCert",
    "RequireAnyClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
  ],
};

/** More than a node needs, and few enough to look into each. */
const maxRouteTables = 0xffff;

interface TableRange {
  readonly min: number;
  readonly max: number;
}

/** What one rule of iptables takes (facts D29). */
const maxNodePortRanges = 7;

/** The tunnels that others may send through are of IPv4. */
const externalNet = described({ ...net.schema }, (value, path, report) => {
  const result = net(value, path, report);
  if (typeof value === "string" && value.includes(":")) mustBe(report, path, "IPv4", value);
  return result;
});

const failsafePorts = array(
  object({ protocol, port: integer(1, 65535), net }, { required: ["port"] }),
);
const tableRange = object(
  { min: integer(1, 0xffffffff), max: integer(1, 0xffffffff) },
  {
    required: ["min", "max"],
    refine: ({ min, max }, path, report) => {
      if (Number(min) > Number(max)) mustBe(report, `${path}.max`, `${min} or more`, max);
    },
  },
);

const tableRangeList = array(tableRange);
const tableRanges = described({ ...tableRangeList.schema }, (value, path, report) => {
  const before = report.problems.length;
  const ranges = tableRangeList(value, path, report) as readonly TableRange[];
  if (report.problems.length > before) return ranges;
  const tables = ranges.reduce((sum, { min, max }) => sum + max - min + 1, 0);
  if (tables > maxRouteTables) {
    refuse(report, path, `has ${tables} tables, at most ${maxRouteTables} fit`);
  }
  return ranges;
});

const known = object({
  ...Object.fromEntries([
    ...words(booleans).map((name) => [name, boolean]),
    ...words(durations).map((name) => [name, duration]),
    ...words(texts).map((name) => [name, text()]),
    ...words(expressions).map((name) => [name, regularExpression]),
    ...Object.entries(forms),
    ...Object.entries(integers).map(([name, [min, max]]) => [name, integer(min, max)]),
    ...Object.entries(choices).map(([name, values]) => [name, oneOfAnyCase(...values)]),
  ]),
  nodeSelector: selector(),
  externalNodesList: array(externalNet),
  failsafeInboundHostPorts: failsafePorts,
  failsafeOutboundHostPorts: failsafePorts,
  healthTimeoutOverrides: array(
    object(
      {
        name: matching(/^[a-zA-Z0-9_ -]+$/, "a name of letters, digits, _, - and blanks"),
        timeout: duration,
      },
      { required: ["name", "timeout"] },
    ),
  ),
  istioDSCPMark: numberOr(integer(0, 63), text()),
  natPortRange: numericPort,
  kubeNodePortRanges: array(numericPort, maxNodePortRanges),
  routeTableRange: tableRange,
  routeTableRanges: tableRanges,
  wireguardHostEncryption: oneOf(...enabled),
});

/** BPF and debugging fields are kept as they are: no dataplane of ours reads them. */
const notOurs = /^(bpf|debug)[A-Z]/;

export const felixConfigurationSpec: Check = described(
  { ...known.schema },
  (value, path, report: Report) => {
    if (typeof value !== "object" || value === null) return known(value, path, report);
    const entries = Object.entries(value);
    const kept = entries.filter(([name, given]) => notOurs.test(name) && given !== null);
    const checked = known(
      Object.fromEntries(entries.filter(([name]) => !notOurs.test(name))),
      path,
      report,
    );
    const extra = kept.map(([name, given]) => [name, anything(given, `${path}.${name}`, report)]);
    return { ...(checked as object), ...Object.fromEntries(extra) };
  },
);

function words(list: string): string[] {
  return list.split(/\s+/);
}
