import type { Asn } from "../../lib/asn.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { Prefix } from "../../lib/prefix.ts";
import type { NextHopMode } from "./export-attributes.ts";

/** What import and export do for one peer, besides the protocol's own rules. Plain data. */
export interface PeerPolicy {
  readonly nextHopMode: NextHopMode;
  /** How often our AS may be in a path (allowas-in). */
  readonly allowedLocalAs: number;
  /** All filters in order; within one, the first rule that matches decides; none: the next filter. */
  readonly importFilters?: readonly RouteFilter[];
  readonly exportFilters?: readonly RouteFilter[];
  readonly maxPrefixes?: Partial<Record<IpFamily, MaxPrefixes>>;
  /** Families in which the peer is told of a default route with us as next hop. */
  readonly defaultOriginate?: readonly IpFamily[];
  /** "calico": facts 5.17 decides what is told. "all": everything that the protocol allows. */
  readonly exportScope?: "calico" | "all";
  /** Most paths of one prefix that are told to a peer with ADD-PATH. Absent: all. */
  readonly addPathLimit?: number;
}

export interface MaxPrefixes {
  readonly limit: number;
  /** Of the limit, when a warning is logged. */
  readonly warnPercent: number;
  readonly onExceed: "warn" | "teardown";
  /** When a session that was torn down starts again; absent: when somebody asks for it. */
  readonly restartSeconds?: number;
}

/** A BGPFilter (facts 5.4), or a filter of the speaker's own file. */
export interface RouteFilter {
  /** For those who ask why. */
  readonly name: string;
  readonly rules: readonly FilterRule[];
}

/** Applies when all that is given holds. */
export interface FilterRule {
  readonly family?: IpFamily;
  readonly match?: {
    readonly prefix: Prefix;
    readonly operator: "equal" | "notEqual" | "in" | "notIn";
    /** Of the route's prefix. */
    readonly minLength?: number;
    readonly maxLength?: number;
  };
  /** Where the route was learned: "remotePeers" only what another speaker told. */
  readonly source?: "remotePeers";
  /** Of the kernel's route, with a final "*". */
  readonly interface?: string;
  readonly peerType?: "eBGP" | "iBGP";
  readonly communities?: readonly Community[];
  /** Leading ASes of the path. */
  readonly asPathPrefix?: readonly Asn[];
  /** Metric of the kernel's route. */
  readonly priority?: number;
  readonly action: "accept" | "reject";
  readonly operations?: readonly RouteOperation[];
}

/** RFC 1997 as one number 0xAAAANNNN, RFC 8092 as three. */
export type Community = number | readonly [number, number, number];

export type RouteOperation =
  | { readonly kind: "addCommunity"; readonly community: Community }
  | { readonly kind: "prependAsPath"; readonly asns: readonly Asn[] }
  | { readonly kind: "setLocalPref"; readonly localPref: number }
  | { readonly kind: "setMed"; readonly med: number }
  /** Metric of the route in the kernel. */
  | { readonly kind: "setPriority"; readonly priority: number };
