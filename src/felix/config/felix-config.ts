import type { PathChecksConfig } from "../../api/path-checks.ts";
import type { IptablesFeatures } from "../../kernel/iptables/render.ts";
import type { TablePoll } from "../../kernel/iptables/watch-tables.ts";
import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import type { Prefix } from "../../lib/prefix.ts";
import type { HealthConfig } from "../health/felix-health.ts";
import type { Refreshed } from "../refresh-timers.ts";
import { defaultRulesConfig, type RulesConfig } from "../rules/rules-config.ts";
import { type LoggingConfig, loggingConfig } from "./logging-config.ts";
import { type MetricsConfig, metricsConfig } from "./metrics-config.ts";
import { pathChecksConfig } from "./path-checks-config.ts";
import { type ConfigSources, readParameters } from "./read-parameters.ts";
import type { ParameterValues } from "./values.ts";
import { type WireguardConfig, wireguardConfig } from "./wireguard-config.ts";

/** Felix's configuration, as its parts take it (facts appendix A). Durations are in milliseconds. */
export interface FelixConfig {
  readonly interfacePrefixes: readonly string[];
  readonly ipv6Support: boolean;
  readonly iptablesBackend: "auto" | "nft" | "legacy";
  readonly chainInsertMode: "insert" | "append";
  /** In place of what is detected. */
  readonly iptablesFeatures: Partial<IptablesFeatures>;
  /** Tunnel devices compute checksums themselves; undefined: the kernel's release decides. */
  readonly checksumOffloadBroken: boolean | undefined;
  /** How long the kernel may take for an answer; 0: as long as it wants. */
  readonly netlinkTimeoutMs: number;
  /** How often each is compared with the kernel; 0: never. */
  readonly refreshMs: Readonly<Record<Refreshed, number>>;
  readonly vxlanPort: number;
  readonly vxlanVni: number;
  /** 0: from the parent's MTU. */
  readonly vxlanMtu: Readonly<Record<IpFamily, number>>;
  /** VXLAN of IPv4 whatever pools say. */
  readonly vxlanEnabled: boolean | undefined;
  /** 0: from the parent's MTU. */
  readonly ipipMtu: number;
  readonly ipipEnabled: boolean | undefined;
  /** 0: from the parent's MTU. */
  readonly ip6TunnelMtu: number;
  readonly udpPort: number;
  /** 0: from the parent's MTU. */
  readonly udpMtu: number;
  readonly wireguard: WireguardConfig;
  readonly removeExternalRoutes: boolean;
  readonly normalRoutePriority: Readonly<Record<IpFamily, number>>;
  readonly deviceRouteProtocol: number;
  /** Source address that routes to pods propose. */
  readonly deviceRouteSource: Readonly<Partial<Record<IpFamily, IpAddr>>>;
  readonly routeSource: "CalicoIPAM" | "WorkloadIPs";
  /** Routes are others' affair. */
  readonly routeSyncDisabled: boolean;
  readonly ipForwarding: boolean;
  /** Interfaces that count as if they were not there. */
  readonly excludedInterfaces: readonly RegExp[];
  /** Where tunnelled packets may come from, beside the cluster's nodes. */
  readonly externalNodes: readonly Prefix[];
  readonly maxIpSetSize: number;
  /** How often tables are looked at; the kernel tells of changes of nft alone. */
  readonly iptablesPoll: Readonly<Record<"nft" | "legacy", TablePoll>>;
  readonly iptablesLockProbeMs: number;
  readonly programClusterRoutes: ParameterValues["programClusterRoutes"];
  /** Folder of the endpoint-status files; undefined: none are written. */
  readonly endpointStatusFolder: string | undefined;
  readonly logging: LoggingConfig;
  readonly rules: RulesConfig;
  readonly metrics: MetricsConfig;
  readonly health: HealthConfig;
  readonly pathChecks: PathChecksConfig;
  /** Parameters that somebody gave and that nothing acts on, as the source writes them. */
  readonly ignored: readonly string[];
  /** Wrong values, in whose place the default acts. */
  readonly problems: readonly string[];
}

/** @throws {InputError} for a wrong value whose place no default may take. */
export function felixConfig(sources: ConfigSources): FelixConfig {
  const { values, ignored, problems } = readParameters(sources);
  const impossible: string[] = [];
  const folder = values.endpointStatusPathPrefix;
  const { checksumOffloadBroken, ...iptablesFeatures } = values.featureDetectOverride;
  return {
    interfacePrefixes: values.interfacePrefix,
    ipv6Support: values.ipv6Support,
    iptablesBackend: values.iptablesBackend,
    chainInsertMode: values.chainInsertMode,
    iptablesFeatures,
    checksumOffloadBroken,
    netlinkTimeoutMs: values.netlinkTimeout,
    refreshMs: {
      routes: values.routeRefreshInterval,
      ipSets: values.ipsetsRefreshInterval,
      iptables: values.iptablesRefreshInterval,
      interfaces: values.interfaceRefreshInterval,
    },
    vxlanPort: values.vxlanPort,
    vxlanVni: values.vxlanVNI,
    vxlanMtu: { 4: values.vxlanMTU, 6: values.vxlanMTUV6 },
    vxlanEnabled: values.vxlanEnabled,
    ipipMtu: values.ipipMTU,
    ipipEnabled: values.ipipEnabled,
    ip6TunnelMtu: values.ip6TunnelMTU,
    udpPort: values.udpPort,
    udpMtu: values.udpMTU,
    wireguard: wireguardConfig(values, impossible),
    removeExternalRoutes: values.removeExternalRoutes,
    normalRoutePriority: { 4: values.ipv4NormalRoutePriority, 6: values.ipv6NormalRoutePriority },
    deviceRouteProtocol: values.deviceRouteProtocol,
    deviceRouteSource: deviceRouteSource(values),
    routeSource: values.routeSource,
    routeSyncDisabled: values.routeSyncDisabled,
    ipForwarding: values.ipForwarding === "Enabled",
    excludedInterfaces: values.interfaceExclude,
    externalNodes: values.externalNodesList,
    maxIpSetSize: values.maxIpsetSize,
    iptablesPoll: iptablesPoll(values),
    iptablesLockProbeMs: values.iptablesLockProbeInterval,
    programClusterRoutes: values.programClusterRoutes,
    endpointStatusFolder: folder === "" ? undefined : `${folder}/endpoint-status`,
    logging: loggingConfig(values),
    rules: rulesConfig(values),
    metrics: metricsConfig(values),
    health: felixHealthConfig(values),
    pathChecks: pathChecksConfig(values),
    ignored,
    problems: [...problems, ...impossible],
  };
}

/** Facts 4.17. */
const longestPostWriteCheckMs = 3_600_000;

/** An interval of 0 is switched off. */
function iptablesPoll(values: ParameterValues): FelixConfig["iptablesPoll"] {
  const { iptablesRefreshInterval: refreshMs, iptablesPostWriteCheckInterval: firstMs } = values;
  const steadyMs = refreshMs || Number.POSITIVE_INFINITY;
  const nft = { firstMs: steadyMs, lastMs: steadyMs };
  const lastMs = Math.max(firstMs, longestPostWriteCheckMs);
  return { nft, legacy: firstMs === 0 ? nft : { firstMs, lastMs } };
}

/** What nobody asked for is absent: a node's chains are then Calico's. */
function logLimits(
  values: ParameterValues,
): Pick<RulesConfig, "logActionLimit" | "denialLogLimit"> {
  const { logActionRateLimit: rate, logActionRateLimitBurst: burst } = values;
  const denials = {
    rate: values.policyDenialLogRateLimit,
    burst: values.policyDenialLogRateLimitBurst,
  };
  return {
    ...(rate === "" ? {} : { logActionLimit: { rate, burst } }),
    ...(values.policyDenialLogs === "Disabled" ? {} : { denialLogLimit: denials }),
  };
}

/** Facts 4.12. */
function felixHealthConfig(values: ParameterValues): HealthConfig {
  const { healthEnabled: enabled, healthTimeoutOverrides: overrides } = values;
  const { CalculationGraph = 30_000, InternalDataplaneMainLoop = values.dataplaneWatchdogTimeout } =
    overrides;
  return { enabled, timeoutsMs: { CalculationGraph, InternalDataplaneMainLoop } };
}

function deviceRouteSource(values: ParameterValues): FelixConfig["deviceRouteSource"] {
  const { deviceRouteSourceAddress: v4, deviceRouteSourceAddressIPv6: v6 } = values;
  return { ...(v4 === undefined ? {} : { 4: v4 }), ...(v6 === undefined ? {} : { 6: v6 }) };
}

function rulesConfig(values: ParameterValues): RulesConfig {
  const { natPortRange, natOutgoingAddress } = values;
  const natOutgoingInterface = values.iptablesNATOutgoingInterfaceFilter;
  return {
    ...defaultRulesConfig,
    marks: values.iptablesMarkMask,
    workloadInterfacePrefixes: values.interfacePrefix,
    vxlanPort: values.vxlanPort,
    wireguardHostEncryption: values.wireguardHostEncryptionEnabled,
    defaultEndpointToHostAction: values.defaultEndpointToHostAction,
    filterAllowAction: values.iptablesFilterAllowAction,
    mangleAllowAction: values.iptablesMangleAllowAction,
    filterDenyAction: values.iptablesFilterDenyAction,
    allowVxlanPacketsFromWorkloads: values.allowVXLANPacketsFromWorkloads,
    allowIpipPacketsFromWorkloads: values.allowIPIPPacketsFromWorkloads,
    disableConntrackInvalidCheck: values.disableConntrackInvalidCheck,
    failsafeInbound: values.failsafeInboundHostPorts,
    failsafeOutbound: values.failsafeOutboundHostPorts,
    logPrefix: values.logPrefix,
    ...logLimits(values),
    ...(natPortRange === undefined ? {} : { natPortRange }),
    ...(natOutgoingAddress === undefined ? {} : { natOutgoingAddress }),
    ...(natOutgoingInterface === undefined ? {} : { natOutgoingInterface }),
    natOutgoingExclusions: values.natOutgoingExclusions,
    allowSourceSpoofing: values.workloadSourceSpoofing === "Any",
    floatingIps: values.floatingIPs === "Enabled",
    serviceLoopPrevention: values.serviceLoopPrevention,
  };
}
