import type { Refreshed } from "../refresh-timers.ts";
import { defaultRulesConfig, type RulesConfig } from "../rules/rules-config.ts";
import { type ConfigSources, readParameters } from "./read-parameters.ts";
import type { ParameterValues } from "./values.ts";

/** Felix's configuration, as its parts take it (facts appendix A). Durations are in milliseconds. */
export interface FelixConfig {
  readonly interfacePrefixes: readonly string[];
  readonly ipv6Support: boolean;
  readonly iptablesBackend: "auto" | "nft" | "legacy";
  readonly chainInsertMode: "insert" | "append";
  /** How often each is compared with the kernel; 0: never. */
  readonly refreshMs: Readonly<Record<Refreshed, number>>;
  readonly vxlanPort: number;
  readonly vxlanVni: number;
  /** 0: from the parent's MTU. */
  readonly vxlanMtu: number;
  readonly removeExternalRoutes: boolean;
  readonly normalRoutePriority: Readonly<Record<4 | 6, number>>;
  readonly deviceRouteProtocol: number;
  readonly programClusterRoutes: ParameterValues["programClusterRoutes"];
  /** Folder of the endpoint-status files; undefined: none are written. */
  readonly endpointStatusFolder: string | undefined;
  readonly logSeverityScreen: string;
  readonly rules: RulesConfig;
  /** Parameters that somebody gave and that nothing acts on, as the source writes them. */
  readonly ignored: readonly string[];
  /** Wrong values, in whose place the default acts. */
  readonly problems: readonly string[];
}

/** @throws {InputError} for a wrong value whose place no default may take. */
export function felixConfig(sources: ConfigSources): FelixConfig {
  const { values, ignored, problems } = readParameters(sources);
  const folder = values.endpointStatusPathPrefix;
  return {
    interfacePrefixes: values.interfacePrefix,
    ipv6Support: values.ipv6Support,
    iptablesBackend: values.iptablesBackend,
    chainInsertMode: values.chainInsertMode,
    refreshMs: {
      routes: values.routeRefreshInterval,
      ipSets: values.ipsetsRefreshInterval,
      iptables: values.iptablesRefreshInterval,
      interfaces: values.interfaceRefreshInterval,
    },
    vxlanPort: values.vxlanPort,
    vxlanVni: values.vxlanVNI,
    vxlanMtu: values.vxlanMTU,
    removeExternalRoutes: values.removeExternalRoutes,
    normalRoutePriority: { 4: values.ipv4NormalRoutePriority, 6: values.ipv6NormalRoutePriority },
    deviceRouteProtocol: values.deviceRouteProtocol,
    programClusterRoutes: values.programClusterRoutes,
    endpointStatusFolder: folder === "" ? undefined : `${folder}/endpoint-status`,
    logSeverityScreen: values.logSeverityScreen,
    rules: rulesConfig(values),
    ignored,
    problems,
  };
}

function rulesConfig(values: ParameterValues): RulesConfig {
  const { natPortRange, natOutgoingAddress } = values;
  const natOutgoingInterface = values.iptablesNATOutgoingInterfaceFilter;
  return {
    ...defaultRulesConfig,
    marks: values.iptablesMarkMask,
    workloadInterfacePrefixes: values.interfacePrefix,
    vxlanPort: values.vxlanPort,
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
    ...(natPortRange === undefined ? {} : { natPortRange }),
    ...(natOutgoingAddress === undefined ? {} : { natOutgoingAddress }),
    ...(natOutgoingInterface === undefined ? {} : { natOutgoingInterface }),
    natOutgoingExclusions: values.natOutgoingExclusions,
    allowSourceSpoofing: values.workloadSourceSpoofing === "Any",
    floatingIps: values.floatingIPs === "Enabled",
    serviceLoopPrevention: values.serviceLoopPrevention,
  };
}
