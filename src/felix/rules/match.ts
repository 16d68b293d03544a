import type { Action, ConntrackState, Match, Side } from "../../kernel/iptables/model.ts";
import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import type { Prefix } from "../../lib/prefix.ts";
import type { PortRange } from "../calc/updates.ts";

/** Short words for the matches and actions that our chains are made of. */

/** Of the protocols that rules name (IANA). */
export const protocolNumber = {
  icmp: 1,
  ipip: 4,
  tcp: 6,
  udp: 17,
  ipv6: 41,
  dccp: 33,
  icmpv6: 58,
  sctp: 132,
  udplite: 136,
} as const;

/** Undefined for a name that is not among them. */
export function numberOfProtocol(protocol: string | number): number | undefined {
  if (typeof protocol === "number") return protocol;
  return (protocolNumber as Readonly<Record<string, number>>)[protocol];
}

/** All bits of `mask` are set. */
export function markSet(mask: number): Match {
  return { kind: "mark", value: mask, mask };
}

/** Some bit of `mask` is not set. */
export function markUnset(mask: number): Match {
  return { kind: "mark", value: mask, mask, not: true };
}

/** No bit of `mask` is set. */
export function markClear(mask: number): Match {
  return { kind: "mark", value: 0, mask };
}

/** Some bit of `mask` is set. */
export function markNotClear(mask: number): Match {
  return { kind: "mark", value: 0, mask, not: true };
}

/** `prefix` as "cali", for all interfaces whose name begins so. */
export function interfacePrefix(direction: "in" | "out", prefix: string): Match {
  return { kind: "interface", direction, name: prefix, prefix: true };
}

export function interfaceIs(direction: "in" | "out", name: string): Match {
  return { kind: "interface", direction, name };
}

export function protocol(name: string | number, not = false): Match {
  return { kind: "protocol", protocol: name, ...negated(not) };
}

export function net(side: Side, value: Prefix | IpAddr, not = false): Match {
  return { kind: "net", side, net: value, ...negated(not) };
}

/** `set` is the kernel's name. */
export function ipSet(side: Side, set: string, not = false): Match {
  return { kind: "ipSet", side, set, ...negated(not) };
}

export function ipPortSet(side: Side, set: string, not = false): Match {
  return { kind: "ipSet", side, set, withPort: true, ...negated(not) };
}

export function ports(side: Side, ranges: readonly PortRange[], not = false): Match {
  return { kind: "ports", side, ports: ranges, ...negated(not) };
}

export function port(side: Side, number: number): Match {
  return ports(side, [{ first: number, last: number }]);
}

export function conntrackState(states: readonly ConntrackState[], not = false): Match {
  return { kind: "conntrackState", states, ...negated(not) };
}

export function localAddress(side: Side): Match {
  return { kind: "localAddress", side };
}

export function icmp(
  family: IpFamily,
  { type, code }: { readonly type: number; readonly code?: number },
  not = false,
): Match {
  return { kind: "icmp", family, type, ...(code === undefined ? {} : { code }), ...negated(not) };
}

export function jump(chain: string): Action {
  return { kind: "jump", chain };
}

export function goto(chain: string): Action {
  return { kind: "goto", chain };
}

export function setMark(mask: number): Action {
  return { kind: "setMark", value: mask, mask };
}

export function clearMark(mask: number): Action {
  return { kind: "clearMark", mask };
}

export const returns: Action = { kind: "return" };
export const accepts: Action = { kind: "accept" };

function negated(not: boolean): { readonly not?: true } {
  return not ? { not: true } : {};
}
