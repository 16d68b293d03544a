import type { Action } from "../../kernel/iptables/model.ts";
import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import type { Prefix } from "../../lib/prefix.ts";
import type { PortRange } from "../calc/updates.ts";
import { allocateMarkBits, defaultMarkMask, type MarkBits } from "./mark-bits.ts";

/** What of Felix's configuration shapes rules (facts appendix A; names as there). */
export interface RulesConfig {
  readonly marks: MarkBits;
  /** interfacePrefix: interfaces that begin so are pods'. */
  readonly workloadInterfacePrefixes: readonly string[];
  readonly ipipEnabled: boolean;
  /** Name of the IPIP device once it has its address: then what leaves through it is masqueraded. */
  readonly ipipDevice?: string;
  readonly vxlanEnabled: Readonly<Record<IpFamily, boolean>>;
  /** Names of the VXLAN devices once they have their addresses. */
  readonly vxlanDevice: Readonly<Partial<Record<IpFamily, string>>>;
  readonly vxlanPort: number;
  /** Of families that have WireGuard. */
  readonly wireguard: Readonly<Partial<Record<IpFamily, WireguardRules>>>;
  /** What comes in from other hosts is marked, so that answers and reverse paths avoid the tunnel. */
  readonly wireguardHostEncryption: boolean;
  /** While a pool asks for the userspace UDP tunnel. `device`: once it has its address. */
  readonly udpTunnel?: UdpTunnelRules;
  /** While pools ask for them: those that carry IPv6 in IP. `device`: once it has its address. */
  readonly ip6Tunnels: Readonly<Partial<Record<"ip6ip6" | "sit", { readonly device?: string }>>>;
  readonly defaultEndpointToHostAction: "ACCEPT" | "DROP" | "RETURN";
  readonly filterAllowAction: "ACCEPT" | "RETURN";
  readonly mangleAllowAction: "ACCEPT" | "RETURN";
  readonly filterDenyAction: "DROP" | "REJECT";
  readonly allowVxlanPacketsFromWorkloads: boolean;
  readonly allowIpipPacketsFromWorkloads: boolean;
  readonly disableConntrackInvalidCheck: boolean;
  /** Ports of the host that no host endpoint's policy closes (facts 4.10). */
  readonly failsafeInbound: readonly FailsafePort[];
  readonly failsafeOutbound: readonly FailsafePort[];
  readonly logPrefix: string;
  /** logActionRateLimit, of each rule that logs. */
  readonly logActionLimit?: PacketLimit;
  /** policyDenialLogRateLimit, of each rule that denies: absent, denials are not told. */
  readonly denialLogLimit?: PacketLimit;
  readonly natPortRange?: PortRange;
  readonly natOutgoingAddress?: IpAddr;
  readonly natOutgoingExclusions: "IPPoolsOnly" | "IPPoolsAndHostIPs";
  /** iptablesNATOutgoingInterfaceFilter; a "+" at its end matches all names that begin so. */
  readonly natOutgoingInterface?: string;
  /** WorkloadSourceSpoofing "Any": endpoints may send from what their allowed prefixes name. */
  readonly allowSourceSpoofing: boolean;
  readonly floatingIps: boolean;
  readonly serviceLoopPrevention: "Drop" | "Reject" | "Disabled";
}

export interface UdpTunnelRules {
  readonly port: number;
  /** Of the outer packets. */
  readonly family: IpFamily;
  readonly device?: string;
}

export interface WireguardRules {
  readonly device: string;
  readonly port: number;
  /** The device is there: what leaves through it is masqueraded. */
  readonly isUp: boolean;
}

/** `rate` as "10/minute". */
export interface PacketLimit {
  readonly rate: string;
  readonly burst: number;
}

/** `net`: only towards, or from, these addresses. */
export interface FailsafePort {
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly port: number;
  readonly net?: Prefix;
}

const tcp = (port: number): FailsafePort => ({ protocol: "tcp", port });
const udp = (port: number): FailsafePort => ({ protocol: "udp", port });
/** BGP, etcd, typha, Kubernetes API, etcd of old. */
const clusterPorts = [179, 2379, 2380, 5473, 6443, 6666, 6667].map(tcp);

/** Calico's defaults. */
export const defaultRulesConfig: RulesConfig = {
  marks: allocateMarkBits(defaultMarkMask),
  workloadInterfacePrefixes: ["cali"],
  ipipEnabled: false,
  vxlanEnabled: { 4: false, 6: false },
  vxlanDevice: {},
  vxlanPort: 4789,
  wireguard: {},
  wireguardHostEncryption: false,
  ip6Tunnels: {},
  defaultEndpointToHostAction: "DROP",
  filterAllowAction: "ACCEPT",
  mangleAllowAction: "ACCEPT",
  filterDenyAction: "DROP",
  allowVxlanPacketsFromWorkloads: false,
  allowIpipPacketsFromWorkloads: false,
  disableConntrackInvalidCheck: false,
  failsafeInbound: [tcp(22), udp(68), ...clusterPorts],
  failsafeOutbound: [udp(53), udp(67), ...clusterPorts],
  logPrefix: "calico-packet",
  natOutgoingExclusions: "IPPoolsOnly",
  allowSourceSpoofing: false,
  floatingIps: false,
  serviceLoopPrevention: "Drop",
};

export function filterAllow(config: RulesConfig): Action {
  return config.filterAllowAction === "ACCEPT" ? { kind: "accept" } : { kind: "return" };
}

export function mangleAllow(config: RulesConfig): Action {
  return config.mangleAllowAction === "ACCEPT" ? { kind: "accept" } : { kind: "return" };
}

export function filterDeny(config: RulesConfig): Action {
  return config.filterDenyAction === "DROP" ? { kind: "drop" } : { kind: "reject" };
}

/** Of the raw and mangle tables, which know no REJECT. */
export function droppingConfig(config: RulesConfig): RulesConfig {
  return config.filterDenyAction === "DROP" ? config : { ...config, filterDenyAction: "DROP" };
}

/** Of policy on what conntrack does not follow: that would be told packet by packet. */
export function untrackedConfig(config: RulesConfig): RulesConfig {
  return withoutDenialLog(droppingConfig(config));
}

export function withoutDenialLog(config: RulesConfig): RulesConfig {
  if (config.denialLogLimit === undefined) return config;
  const { denialLogLimit: _limit, ...quiet } = config;
  return quiet;
}

/** The denying action as comments call it. */
export function denyWord(config: RulesConfig): string {
  return config.filterDenyAction === "DROP" ? "Drop" : "Reject";
}
