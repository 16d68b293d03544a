import type { IptablesFeatures } from "../../kernel/iptables/render.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";
import type { Prefix } from "../../lib/prefix.ts";
import type { PortRange } from "../calc/updates.ts";
import type { MarkBits } from "../rules/mark-bits.ts";
import type { FailsafePort } from "../rules/rules-config.ts";

/** Values of the parameters that act, by name. Durations are in milliseconds. */
export interface ParameterValues
  extends FeatureValues,
    HealthValues,
    LoggingValues,
    MetricsValues,
    CommonValues,
    IptablesValues,
    VxlanValues,
    IpipValues,
    OwnTunnelValues,
    WireguardValues,
    PathCheckValues {}

export interface PathCheckValues {
  readonly pathChecks: "Disabled" | "Enabled";
  readonly pathCheckPort: number;
  readonly pathCheckInterval: number;
  readonly pathCheckPeers: number;
}

export interface FeatureValues {
  readonly featureDetectOverride: FeatureOverrides;
}

/** In place of what is detected. */
export interface FeatureOverrides extends Partial<IptablesFeatures> {
  /** Tunnel devices compute checksums themselves. */
  readonly checksumOffloadBroken?: boolean;
}

export interface HealthValues {
  readonly healthEnabled: boolean;
  readonly healthHost: string;
  readonly healthPort: number;
  readonly healthTimeoutOverrides: Readonly<Record<string, number>>;
}

export interface LoggingValues {
  /** "": no limit. */
  readonly logActionRateLimit: string;
  readonly logActionRateLimitBurst: number;
  readonly policyDenialLogs: "Disabled" | "Enabled";
  readonly policyDenialLogRateLimit: string;
  readonly policyDenialLogRateLimitBurst: number;
  readonly logDebugFilenameRegex: RegExp | undefined;
  /** "": none. */
  readonly logFilePath: string;
  readonly logPrefix: string;
  readonly logSeverityFile: string;
  readonly logSeverityScreen: string;
  readonly logSeveritySys: string;
}

export interface MetricsValues {
  readonly prometheusGoMetricsEnabled: boolean;
  readonly prometheusMetricsCAFile: string;
  readonly prometheusMetricsCertFile: string;
  readonly prometheusMetricsClientAuth:
    | "NoClientCert"
    | "RequireAnyClientCert"
    | "VerifyClientCertIfGiven"
    | "RequireAndVerifyClientCert";
  readonly prometheusMetricsEnabled: boolean;
  readonly prometheusMetricsHost: string;
  readonly prometheusMetricsKeyFile: string;
  readonly prometheusMetricsPort: number;
  readonly prometheusProcessMetricsEnabled: boolean;
  readonly prometheusWireGuardMetricsEnabled: boolean;
}

export interface CommonValues {
  readonly allowIPIPPacketsFromWorkloads: boolean;
  readonly allowVXLANPacketsFromWorkloads: boolean;
  readonly chainInsertMode: "insert" | "append";
  readonly dataplaneWatchdogTimeout: number;
  readonly defaultEndpointToHostAction: "DROP" | "ACCEPT" | "RETURN";
  readonly deviceRouteProtocol: number;
  readonly deviceRouteSourceAddress: IpAddr | undefined;
  readonly deviceRouteSourceAddressIPv6: IpAddr | undefined;
  readonly disableConntrackInvalidCheck: boolean;
  readonly endpointStatusPathPrefix: string;
  readonly externalNodesList: readonly Prefix[];
  readonly failsafeInboundHostPorts: readonly FailsafePort[];
  readonly failsafeOutboundHostPorts: readonly FailsafePort[];
  readonly floatingIPs: "Disabled" | "Enabled";
  readonly ipForwarding: "Disabled" | "Enabled";
  readonly ipv4NormalRoutePriority: number;
  readonly ipv6NormalRoutePriority: number;
  readonly interfaceExclude: readonly RegExp[];
  readonly interfacePrefix: readonly string[];
  readonly interfaceRefreshInterval: number;
  readonly ipv6Support: boolean;
  readonly mtuIfacePattern: RegExp;
  readonly natOutgoingAddress: IpAddr | undefined;
  readonly natOutgoingExclusions: "IPPoolsOnly" | "IPPoolsAndHostIPs";
  readonly natPortRange: PortRange | undefined;
  readonly netlinkTimeout: number;
  readonly programClusterRoutes: "Disabled" | "Enabled" | "EnabledNoEncapOnly" | "EnabledIPIPOnly";
  readonly removeExternalRoutes: boolean;
  readonly requireMTUFile: boolean;
  readonly routeRefreshInterval: number;
  readonly routeSource: "CalicoIPAM" | "WorkloadIPs";
  readonly routeSyncDisabled: boolean;
  readonly routeTableRange: readonly TableRange[];
  readonly routeTableRanges: readonly TableRange[];
  readonly serviceLoopPrevention: "Drop" | "Reject" | "Disabled";
  readonly workloadSourceSpoofing: "Disabled" | "Any";
}

export interface IptablesValues {
  readonly ipsetsRefreshInterval: number;
  readonly iptablesBackend: "auto" | "nft" | "legacy";
  readonly iptablesFilterAllowAction: "ACCEPT" | "RETURN";
  readonly iptablesFilterDenyAction: "DROP" | "REJECT";
  readonly iptablesLockProbeInterval: number;
  readonly iptablesMangleAllowAction: "ACCEPT" | "RETURN";
  readonly iptablesMarkMask: MarkBits;
  readonly iptablesNATOutgoingInterfaceFilter: string | undefined;
  readonly iptablesPostWriteCheckInterval: number;
  readonly iptablesRefreshInterval: number;
  readonly maxIpsetSize: number;
}

export interface VxlanValues {
  readonly vxlanEnabled: boolean | undefined;
  readonly vxlanMTU: number;
  readonly vxlanMTUV6: number;
  readonly vxlanPort: number;
  readonly vxlanVNI: number;
}

export interface OwnTunnelValues {
  readonly ip6TunnelMTU: number;
  readonly udpMTU: number;
  readonly udpPort: number;
}

export interface IpipValues {
  readonly ipipEnabled: boolean | undefined;
  readonly ipipMTU: number;
}

export interface WireguardValues {
  readonly wireguardEnabled: boolean;
  readonly wireguardEnabledV6: boolean;
  readonly wireguardHostEncryptionEnabled: boolean;
  readonly wireguardInterfaceName: string;
  readonly wireguardInterfaceNameV6: string;
  readonly wireguardListeningPort: number;
  readonly wireguardListeningPortV6: number;
  readonly wireguardMTU: number;
  readonly wireguardMTUV6: number;
  readonly wireguardKeepAlive: number;
  readonly wireguardRoutingRulePriority: number;
  readonly wireguardThreadingEnabled: boolean;
  /** "": none. */
  readonly wireguardPresharedKeyFile: string;
}

/** Numbers of routing tables, both ends included. */
export interface TableRange {
  readonly min: number;
  readonly max: number;
}
