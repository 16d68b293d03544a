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
}

/** What encoding an UPDATE must know of its session. */
export interface EncodeOptions {
  readonly fourOctetAs: boolean;
  /** Each prefix goes after its path identifier (RFC 7911 section 3). Absent: false. */
  readonly addPath?: boolean;
}
