import type { IpFamily } from "../../lib/ip-addr.ts";

/** What decoding an UPDATE must know of its session. */
export interface DecodeContext {
  readonly fourOctetAs: boolean;
  /** The peer is in another AS. */
  readonly external: boolean;
  /** Negotiated families: prefixes of others are skipped (RFC 4760 section 8). */
  readonly families: readonly IpFamily[];
  /** Families whose prefixes carry a path identifier (RFC 7911 section 3). Absent: none. */
  readonly addPath?: readonly IpFamily[];
  /** IPv4 prefixes may have an IPv6 next hop in MP_REACH_NLRI (RFC 8950). Absent: false. */
  readonly extendedNextHop?: boolean;
}

/** What encoding an UPDATE must know of its session. */
export interface EncodeOptions {
  readonly fourOctetAs: boolean;
  /** Each prefix goes after its path identifier (RFC 7911 section 3). Absent: false. */
  readonly addPath?: boolean;
  /** IPv4 prefixes may have an IPv6 next hop (RFC 8950). Absent: false. */
  readonly extendedNextHop?: boolean;
  /** Longest message: 4096, or 65535 when extended (RFC 8654 section 4). Absent: 4096. */
  readonly maxMessageLength?: number;
}
