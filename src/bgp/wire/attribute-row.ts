import type { ByteWriter } from "../../lib/byte-writer.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";
import type { AttributeCursor } from "./attribute-cursor.ts";
import type { DecodeContext, EncodeOptions } from "./context.ts";
import type { AsPathSegment, PathAttributes } from "./message.ts";

/** How an error in an attribute is handled, from weak to strong (RFC 7606 section 2). */
export type OnError = "discard" | "withdraw" | "reset";

/** The attributes of one UPDATE while they are decoded. */
export interface AttributeDraft {
  readonly attributes: { -readonly [Name in keyof PathAttributes]: PathAttributes[Name] };
  as4Path?: readonly AsPathSegment[];
  as4Aggregator?: NonNullable<PathAttributes["aggregator"]>;
}

/** The attributes of one UPDATE to be encoded. */
export interface OutgoingAttributes {
  readonly attributes: PathAttributes;
  /** For NEXT_HOP; absent where MP_REACH_NLRI holds it. */
  readonly nextHop?: IpAddr;
}

/**
 * A path attribute we know. `check` looks at exactly the value, says whether it is well formed, and
 * builds nothing: it is run on every UPDATE. `decode` is run on values that passed, when someone asks
 * for the attributes. MP_* and NEXT_HOP have no `decode`: attributes.ts reads them at once.
 */
export interface AttributeRow {
  readonly code: number;
  readonly name: string;
  readonly rfc: string;
  /** Optional and Transitive as they must be. */
  readonly flags: number;
  readonly onError: OnError;
  /** Discarded when an external peer sends it (RFC 7606 sections 7.5, 7.9, 7.10). */
  readonly internalOnly?: true;
  readonly check: (value: AttributeCursor, context: DecodeContext) => boolean;
  readonly decode?: (value: AttributeCursor, draft: AttributeDraft, context: DecodeContext) => void;
  /** Absent for MP_*: encode-updates.ts writes them. */
  readonly encode?: {
    readonly isSent: (outgoing: OutgoingAttributes, options: EncodeOptions) => boolean;
    readonly write: (outgoing: OutgoingAttributes, to: ByteWriter, options: EncodeOptions) => void;
  };
}

/** Codes that others than the table of attributes must know. */
export const attributeCode: {
  readonly origin: 1;
  readonly asPath: 2;
  readonly nextHop: 3;
  readonly mpReach: 14;
  readonly mpUnreach: 15;
} = { origin: 1, asPath: 2, nextHop: 3, mpReach: 14, mpUnreach: 15 };
