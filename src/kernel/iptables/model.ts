import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import type { Prefix } from "../../lib/prefix.ts";

/**
 * Rules as data, before any backend's text. What may stand where is checked when a rule is rendered
 * (render.ts), so that no string of a resource can leave its place.
 */

export const tableNames = ["raw", "mangle", "nat", "filter"] as const;
export type TableName = (typeof tableNames)[number];

export interface Chain {
  readonly name: string;
  readonly rules: readonly Rule[];
  /** Each rule has a hash of its own, so that one comes between others without writing them anew. */
  readonly separate?: boolean;
}

/** Absent action: the rule only counts, or carries a comment. All matches must hold. */
export interface Rule {
  readonly match: readonly Match[];
  readonly action?: Action;
  /** For people, after the hash comment. Any text: unsafe characters become "_" when rendered. */
  readonly comments?: readonly string[];
}

export type Side = "source" | "destination";

export interface Ports {
  readonly first: number;
  readonly last: number;
}

export type Match =
  /** packet mark & mask == value. */
  | { readonly kind: "mark"; readonly value: number; readonly mask: number; readonly not?: boolean }
  /** `prefix`: every interface whose name begins with `name`. */
  | {
      readonly kind: "interface";
      readonly direction: "in" | "out";
      readonly name: string;
      readonly prefix?: boolean;
    }
  | { readonly kind: "protocol"; readonly protocol: string | number; readonly not?: boolean }
  | {
      readonly kind: "net";
      readonly side: Side;
      readonly net: Prefix | IpAddr;
      readonly not?: boolean;
    }
  /** `withPort`: a set of address and port pairs. */
  | {
      readonly kind: "ipSet";
      readonly side: Side;
      readonly set: string;
      readonly withPort?: boolean;
      readonly not?: boolean;
    }
  /** At most 15 slots, a range takes two. Needs a protocol match with ports. */
  | {
      readonly kind: "ports";
      readonly side: Side;
      readonly ports: readonly Ports[];
      readonly not?: boolean;
    }
  /** One port without the multiport module. Needs a protocol match with ports. */
  | { readonly kind: "destinationPort"; readonly port: number }
  | {
      readonly kind: "conntrackState";
      readonly states: readonly ConntrackState[];
      readonly not?: boolean;
    }
  /** Strict reverse-path check failed. */
  | { readonly kind: "reversePathFailed" }
  /** The address is one of this host. */
  | {
      readonly kind: "localAddress";
      readonly side: Side;
      readonly limitInterfaceOut?: boolean;
      readonly not?: boolean;
    }
  /** ICMP for family 4, ICMPv6 for family 6. Needs the protocol match. */
  | {
      readonly kind: "icmp";
      readonly family: IpFamily;
      readonly type: number;
      readonly code?: number;
      readonly not?: boolean;
    }
  /**
   * Packets up to `rate`, as "10/minute"; `burst` more than that at first. Each packet that reaches this
   * match counts: what shall not count goes before it.
   */
  | { readonly kind: "limit"; readonly rate: string; readonly burst: number }
  /** The first packet of a TCP connection: it has the protocol match in it. */
  | { readonly kind: "tcpSyn" }
  /** More connections than this reach the rule. */
  | { readonly kind: "connectionsAbove"; readonly count: number };

export type ConntrackState = "NEW" | "RELATED" | "ESTABLISHED" | "INVALID" | "UNTRACKED" | "DNAT";

export type Action =
  | { readonly kind: "jump"; readonly chain: string }
  /** As jump, but a return skips the calling chain. */
  | { readonly kind: "goto"; readonly chain: string }
  | { readonly kind: "return" }
  | { readonly kind: "accept" }
  | { readonly kind: "drop" }
  | { readonly kind: "reject" }
  /** Needs a match of TCP. */
  | { readonly kind: "tcpReset" }
  /** mark = (mark & ~mask) | value. */
  | { readonly kind: "setMark"; readonly value: number; readonly mask: number }
  | { readonly kind: "clearMark"; readonly mask: number }
  | { readonly kind: "masquerade"; readonly toPorts?: Ports }
  | { readonly kind: "snat"; readonly address: IpAddr; readonly toPorts?: Ports }
  | { readonly kind: "dnat"; readonly address: IpAddr; readonly port?: number }
  /** Any text, cut to 27 characters. */
  | { readonly kind: "log"; readonly prefix: string }
  /** Any text, cut to 63 characters. */
  | { readonly kind: "nflog"; readonly group: number; readonly prefix: string }
  | { readonly kind: "noTrack" }
  /** Differentiated services code point (RFC 2474), 0 to 63. */
  | { readonly kind: "dscp"; readonly value: number };

/** The chain that a rule sends packets to. */
export function targetOf(rule: Rule): string | undefined {
  const action = rule.action;
  return action?.kind === "jump" || action?.kind === "goto" ? action.chain : undefined;
}

/** Kernel names of the IP sets that rules match on, in order of first use. */
export function setsOf(rules: Iterable<Rule>): Set<string> {
  const sets = new Set<string>();
  for (const rule of rules) {
    for (const match of rule.match) if (match.kind === "ipSet") sets.add(match.set);
  }
  return sets;
}
