import type { Action } from "../../kernel/iptables/model.ts";
import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
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
  readonly defaultEndpointToHostAction: "ACCEPT" | "DROP" | "RETURN";
  readonly filterAllowAction: "ACCEPT" | "RETURN";
  readonly mangleAllowAction: "ACCEPT" | "RETURN";
  readonly filterDenyAction: "DROP" | "REJECT";
  readonly allowVxlanPacketsFromWorkloads: boolean;
  readonly allowIpipPacketsFromWorkloads: boolean;
  readonly disableConntrackInvalidCheck: boolean;
  readonly logPrefix: string;
  readonly natPortRange?: PortRange;
  readonly natOutgoingAddress?: IpAddr;
  readonly natOutgoingExclusions: "IPPoolsOnly" | "IPPoolsAndHostIPs";
  /** iptablesNATOutgoingInterfaceFilter; a "+" at its end matches all names that begin so. */
  readonly natOutgoingInterface?: string;
  readonly serviceLoopPrevention: "Drop" | "Reject" | "Disabled";
}

/** Calico's defaults. */
export const defaultRulesConfig: RulesConfig = {
  marks: allocateMarkBits(defaultMarkMask),
  workloadInterfacePrefixes: ["cali"],
  ipipEnabled: false,
  vxlanEnabled: { 4: false, 6: false },
  vxlanDevice: {},
  vxlanPort: 4789,
  defaultEndpointToHostAction: "DROP",
  filterAllowAction: "ACCEPT",
  mangleAllowAction: "ACCEPT",
  filterDenyAction: "DROP",
  allowVxlanPacketsFromWorkloads: false,
  allowIpipPacketsFromWorkloads: false,
  disableConntrackInvalidCheck: false,
  logPrefix: "calico-packet",
  natOutgoingExclusions: "IPPoolsOnly",
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

/** The denying action as comments call it. */
export function denyWord(config: RulesConfig): string {
  return config.filterDenyAction === "DROP" ? "Drop" : "Reject";
}
