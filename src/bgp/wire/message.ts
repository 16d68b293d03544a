import type { Asn } from "../../lib/asn.ts";
import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";

/** BGP messages as values (RFC 4271 section 4). Prefixes stay packed: see PackedPrefixes. */
export type Message =
  | OpenMessage
  | UpdateMessage
  | NotificationMessage
  | { readonly kind: "keepalive" }
  | RouteRefreshMessage;

export interface OpenMessage {
  readonly kind: "open";
  /** The sender's AS; its 4-octet value when the capability is there (RFC 6793). */
  readonly asn: Asn;
  readonly holdSeconds: number;
  /** As an unsigned 32-bit number. */
  readonly routerId: number;
  readonly capabilities: readonly Capability[];
}

/** RFC 5492. Unknown ones are kept to be shown. */
export type Capability =
  | { readonly kind: "multiprotocol"; readonly afi: number; readonly safi: number }
  | { readonly kind: "routeRefresh" }
  | { readonly kind: "fourOctetAs"; readonly asn: Asn }
  | {
      readonly kind: "gracefulRestart";
      readonly restarting: boolean;
      /** The N bit: a NOTIFICATION does not end the restart procedures (RFC 8538). */
      readonly notification?: boolean;
      readonly restartSeconds: number;
      readonly families: readonly {
        readonly afi: number;
        readonly safi: number;
        readonly forwarding: boolean;
      }[];
    }
  /** RFC 8654. */
  | { readonly kind: "extendedMessage" }
  /** RFC 7313. */
  | { readonly kind: "enhancedRouteRefresh" }
  /** RFC 7911. */
  | {
      readonly kind: "addPath";
      readonly families: readonly {
        readonly afi: number;
        readonly safi: number;
        readonly mode: "receive" | "send" | "both";
      }[];
    }
  /** RFC 8950. */
  | {
      readonly kind: "extendedNextHop";
      readonly families: readonly {
        readonly afi: number;
        readonly safi: number;
        readonly nextHopAfi: number;
      }[];
    }
  /** RFC 9494. */
  | {
      readonly kind: "longLivedGracefulRestart";
      readonly families: readonly {
        readonly afi: number;
        readonly safi: number;
        readonly forwarding: boolean;
        readonly staleSeconds: number;
      }[];
    }
  | { readonly kind: "unknown"; readonly code: number; readonly value: Uint8Array };

/**
 * Prefixes of one family in typed arrays: no string, no object a prefix on the way to the RIB.
 * Prefix i is words[i] (IPv4) or words[4i..4i+3] (IPv6), most significant first, host bits zero.
 */
export interface PackedPrefixes {
  readonly family: IpFamily;
  readonly count: number;
  readonly words: Uint32Array;
  readonly lengths: Uint8Array;
  /** Path identifier of each prefix, where ADD-PATH is negotiated (RFC 7911 section 3). */
  readonly pathIds?: Uint32Array;
}

export interface UpdateMessage {
  readonly kind: "update";
  readonly withdrawn: readonly PackedPrefixes[];
  readonly announced: readonly { readonly prefixes: PackedPrefixes; readonly nextHop: IpAddr }[];
  /**
   * Absent when nothing is announced. A received UPDATE decodes them when they are first asked for,
   * which must be before its handler returns: they are read from `rawAttributes`.
   */
  readonly attributes?: PathAttributes;
  /**
   * The attributes as they were received, checked (RFC 7606), without MP_REACH_NLRI and
   * MP_UNREACH_NLRI; NEXT_HOP is among them. Valid until the handler returns. Between sessions with
   * equal `fourOctetAs` and `external`, equal octets mean equal attributes.
   */
  readonly rawAttributes?: Uint8Array;
  /**
   * Set on a received UPDATE that is as simple as most are: all that it announces. `announced`, too,
   * must then be asked for before the handler returns.
   */
  readonly plain?: PlainRoutes;
  /** End-of-RIB markers (RFC 4724 section 2). */
  readonly endOfRib: readonly IpFamily[];
  /** Set when RFC 7606 asks for it: every announced prefix was moved to `withdrawn`. */
  readonly treatedAsWithdraw?: string;
  /** Why an attribute was discarded (RFC 7606 section 2), the first of them. */
  readonly discarded?: string | undefined;
}

/**
 * IPv4 prefixes, and their attributes as 4-octet speakers in the same AS mean them, NEXT_HOP included:
 * the octets from `start` to `end` of a buffer. All of it is valid until the UPDATE's handler returns.
 */
export interface PlainRoutes {
  readonly prefixes: PackedPrefixes;
  readonly buffer: Uint8Array;
  readonly start: number;
  readonly end: number;
}

export interface AsPathSegment {
  readonly kind: "sequence" | "set" | "confedSequence" | "confedSet";
  readonly asns: readonly Asn[];
}

/** Path attributes without next hop (it is per announcement). Immutable; interned by the RIB. */
export interface PathAttributes {
  /** 0 IGP, 1 EGP, 2 INCOMPLETE. */
  readonly origin: 0 | 1 | 2;
  readonly asPath: readonly AsPathSegment[];
  readonly med?: number;
  readonly localPref?: number;
  readonly atomicAggregate?: boolean;
  readonly aggregator?: { readonly asn: Asn; readonly address: IpAddr };
  /** 32-bit values: 0xAAAANNNN (RFC 1997). */
  readonly communities?: readonly number[];
  readonly largeCommunities?: readonly (readonly [number, number, number])[];
  /** 8 octets each (RFC 4360). */
  readonly extendedCommunities?: readonly Uint8Array[];
  /** RFC 4456, unsigned 32-bit. */
  readonly originatorId?: number;
  readonly clusterList?: readonly number[];
  /** Optional transitive attributes that we do not know, to be passed on with the Partial bit. */
  readonly unknown?: readonly {
    readonly flags: number;
    readonly code: number;
    readonly value: Uint8Array;
  }[];
}

export interface NotificationMessage {
  readonly kind: "notification";
  readonly code: number;
  readonly subcode: number;
  readonly data: Uint8Array;
}

export interface RouteRefreshMessage {
  readonly kind: "routeRefresh";
  readonly afi: number;
  readonly safi: number;
  /** 0 normal, 1 BoRR, 2 EoRR (RFC 7313). */
  readonly subtype: number;
}
