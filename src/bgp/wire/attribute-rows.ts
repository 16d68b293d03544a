import type { Asn } from "../../lib/asn.ts";
import type { ByteReader } from "../../lib/byte-reader.ts";
import type { ByteWriter } from "../../lib/byte-writer.ts";
import { type IpAddr, ipBytes, ipFromBytes } from "../../lib/ip-addr.ts";
import { decodeAsPath, encodeAsPath, needsAs4Path, withoutConfederation } from "./as-path.ts";
import {
  decodeClusterList,
  decodeCommunities,
  decodeExtendedCommunities,
  decodeLargeCommunities,
} from "./communities.ts";
import type { DecodeContext, EncodeOptions } from "./context.ts";
import type { AsPathSegment, PackedPrefixes, PathAttributes } from "./message.ts";
import { decodeMpReach, decodeMpUnreach } from "./mp-nlri.ts";
import { asTrans } from "./open.ts";

export type { DecodeContext, EncodeOptions } from "./context.ts";

/** The attributes of one UPDATE while they are read. */
export interface AttributeDraft {
  attributes: { -readonly [Name in keyof PathAttributes]?: PathAttributes[Name] };
  nextHop?: IpAddr;
  as4Path?: AsPathSegment[];
  as4Aggregator?: { readonly asn: Asn; readonly address: IpAddr };
  /** `prefixes` is absent for a family that is not negotiated. */
  reach?: { readonly nextHop?: IpAddr; readonly prefixes?: PackedPrefixes };
  unreach?: { readonly prefixes?: PackedPrefixes };
}

/** How an error in an attribute is handled, from weak to strong (RFC 7606 section 2). */
export type OnError = "discard" | "withdraw" | "reset";

/**
 * A path attribute we know. `decode` sees exactly the value, puts it into the draft, and gives false
 * for a malformed one. `encode` writes the value and gives false when there is nothing to send.
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
  readonly decode: (value: ByteReader, draft: AttributeDraft, context: DecodeContext) => boolean;
  readonly encode?: (attributes: PathAttributes, to: ByteWriter, options: EncodeOptions) => boolean;
}

export const attributeFlag: {
  readonly optional: 0x80;
  readonly transitive: 0x40;
  readonly partial: 0x20;
  readonly extendedLength: 0x10;
} = { optional: 0x80, transitive: 0x40, partial: 0x20, extendedLength: 0x10 };

const wellKnown = attributeFlag.transitive;
const optional = attributeFlag.optional;
const optionalTransitive = attributeFlag.optional | attributeFlag.transitive;

/** In the order in which they are sent. NEXT_HOP and MP_* are written by encode-updates.ts. */
export const attributeRows: readonly AttributeRow[] = [
  {
    code: 1,
    name: "ORIGIN",
    rfc: "4271 section 5.1.1",
    flags: wellKnown,
    onError: "withdraw",
    decode: (value, draft) => {
      const origin = value.remaining === 1 ? value.u8() : 3;
      if (origin !== 0 && origin !== 1 && origin !== 2) return false;
      draft.attributes.origin = origin;
      return true;
    },
    encode: ({ origin }, to) => wrote(to.u8(origin)),
  },
  {
    code: 2,
    name: "AS_PATH",
    rfc: "4271 section 5.1.2",
    flags: wellKnown,
    onError: "withdraw",
    decode: (value, draft, { fourOctetAs, external }) => {
      const asPath = decodeAsPath(value, fourOctetAs ? 4 : 2);
      if (asPath === undefined || hasZeroAs(asPath)) return false;
      if (external && withoutConfederation(asPath).length < asPath.length) return false;
      draft.attributes.asPath = asPath;
      return true;
    },
    encode: ({ asPath }, to, { fourOctetAs }) => {
      encodeAsPath(asPath, fourOctetAs ? 4 : 2, to);
      return true;
    },
  },
  {
    code: 3,
    name: "NEXT_HOP",
    rfc: "4271 section 5.1.3",
    flags: wellKnown,
    onError: "withdraw",
    decode: (value, draft) => {
      if (value.remaining !== 4) return false;
      const octets = value.bytes(4);
      if (!isHost4(octets)) return false;
      draft.nextHop = ipFromBytes(octets);
      return true;
    },
  },
  {
    code: 4,
    name: "MULTI_EXIT_DISC",
    rfc: "4271 section 5.1.4",
    flags: optional,
    onError: "withdraw",
    decode: (value, draft) => {
      if (value.remaining !== 4) return false;
      draft.attributes.med = value.u32();
      return true;
    },
    encode: ({ med }, to) => med !== undefined && wrote(to.u32(med)),
  },
  {
    code: 5,
    name: "LOCAL_PREF",
    rfc: "4271 section 5.1.5",
    flags: wellKnown,
    onError: "withdraw",
    internalOnly: true,
    decode: (value, draft) => {
      if (value.remaining !== 4) return false;
      draft.attributes.localPref = value.u32();
      return true;
    },
    encode: ({ localPref }, to) => localPref !== undefined && wrote(to.u32(localPref)),
  },
  {
    code: 6,
    name: "ATOMIC_AGGREGATE",
    rfc: "4271 section 5.1.6",
    flags: wellKnown,
    onError: "discard",
    decode: (value, draft) => {
      if (value.remaining !== 0) return false;
      draft.attributes.atomicAggregate = true;
      return true;
    },
    encode: ({ atomicAggregate }) => atomicAggregate === true,
  },
  {
    code: 7,
    name: "AGGREGATOR",
    rfc: "4271 section 5.1.7",
    flags: optionalTransitive,
    onError: "discard",
    decode: (value, draft, { fourOctetAs }) => {
      const aggregator = decodeAggregator(value, fourOctetAs ? 4 : 2);
      if (aggregator === undefined) return false;
      draft.attributes.aggregator = aggregator;
      return true;
    },
    encode: ({ aggregator }, to, { fourOctetAs }) => {
      if (aggregator === undefined) return false;
      if (fourOctetAs) to.u32(aggregator.asn);
      else to.u16(aggregator.asn > 0xffff ? asTrans : aggregator.asn);
      return wrote(to.bytes(ipBytes(aggregator.address)));
    },
  },
  {
    code: 8,
    name: "COMMUNITIES",
    rfc: "1997",
    flags: optionalTransitive,
    onError: "withdraw",
    decode: (value, draft) => {
      const communities = decodeCommunities(value);
      if (communities === undefined) return false;
      draft.attributes.communities = communities;
      return true;
    },
    encode: ({ communities = [] }, to) => {
      for (const community of communities) to.u32(community);
      return communities.length > 0;
    },
  },
  {
    code: 9,
    name: "ORIGINATOR_ID",
    rfc: "4456 section 8",
    flags: optional,
    onError: "withdraw",
    internalOnly: true,
    decode: (value, draft) => {
      if (value.remaining !== 4) return false;
      draft.attributes.originatorId = value.u32();
      return true;
    },
    encode: ({ originatorId }, to) => originatorId !== undefined && wrote(to.u32(originatorId)),
  },
  {
    code: 10,
    name: "CLUSTER_LIST",
    rfc: "4456 section 8",
    flags: optional,
    onError: "withdraw",
    internalOnly: true,
    decode: (value, draft) => {
      const clusterList = decodeClusterList(value);
      if (clusterList === undefined) return false;
      draft.attributes.clusterList = clusterList;
      return true;
    },
    encode: ({ clusterList = [] }, to) => {
      for (const cluster of clusterList) to.u32(cluster);
      return clusterList.length > 0;
    },
  },
  {
    code: 14,
    name: "MP_REACH_NLRI",
    rfc: "4760 section 3",
    flags: optional,
    onError: "reset",
    decode: (value, draft, context) => {
      const reach = decodeMpReach(value, context);
      if (reach === undefined) return false;
      draft.reach = reach;
      return true;
    },
  },
  {
    code: 15,
    name: "MP_UNREACH_NLRI",
    rfc: "4760 section 4",
    flags: optional,
    onError: "reset",
    decode: (value, draft, context) => {
      const unreach = decodeMpUnreach(value, context);
      if (unreach === undefined) return false;
      draft.unreach = unreach;
      return true;
    },
  },
  {
    code: 16,
    name: "EXTENDED_COMMUNITIES",
    rfc: "4360",
    flags: optionalTransitive,
    onError: "withdraw",
    decode: (value, draft) => {
      const communities = decodeExtendedCommunities(value);
      if (communities === undefined) return false;
      draft.attributes.extendedCommunities = communities;
      return true;
    },
    encode: ({ extendedCommunities = [] }, to) => {
      for (const community of extendedCommunities) to.bytes(community);
      return extendedCommunities.length > 0;
    },
  },
  {
    code: 17,
    name: "AS4_PATH",
    rfc: "6793 section 6",
    flags: optionalTransitive,
    onError: "discard",
    decode: (value, draft) => {
      const path = decodeAsPath(value, 4);
      if (path === undefined || path.length === 0 || hasZeroAs(path)) return false;
      draft.as4Path = path;
      return true;
    },
    encode: ({ asPath }, to, { fourOctetAs }) => {
      if (fourOctetAs || !needsAs4Path(asPath)) return false;
      encodeAsPath(withoutConfederation(asPath), 4, to);
      return true;
    },
  },
  {
    code: 18,
    name: "AS4_AGGREGATOR",
    rfc: "6793 section 6",
    flags: optionalTransitive,
    onError: "discard",
    decode: (value, draft) => {
      const aggregator = decodeAggregator(value, 4);
      if (aggregator === undefined) return false;
      draft.as4Aggregator = aggregator;
      return true;
    },
    encode: ({ aggregator }, to, { fourOctetAs }) => {
      if (fourOctetAs || aggregator === undefined || aggregator.asn <= 0xffff) return false;
      return wrote(to.u32(aggregator.asn).bytes(ipBytes(aggregator.address)));
    },
  },
  {
    code: 32,
    name: "LARGE_COMMUNITY",
    rfc: "8092",
    flags: optionalTransitive,
    onError: "withdraw",
    decode: (value, draft) => {
      const communities = decodeLargeCommunities(value);
      if (communities === undefined) return false;
      draft.attributes.largeCommunities = communities;
      return true;
    },
    encode: ({ largeCommunities = [] }, to) => {
      for (const [admin, first, second] of largeCommunities) to.u32(admin).u32(first).u32(second);
      return largeCommunities.length > 0;
    },
  },
];

function wrote(_to: ByteWriter): true {
  return true;
}

/** RFC 7607 section 2: AS 0 makes a path malformed. */
function hasZeroAs(segments: readonly AsPathSegment[]): boolean {
  return segments.some(({ asns }) => asns.includes(0 as Asn));
}

/** AS (2 or 4), IPv4 address (4). */
function decodeAggregator(
  value: ByteReader,
  asOctets: 2 | 4,
): { readonly asn: Asn; readonly address: IpAddr } | undefined {
  if (value.remaining !== asOctets + 4) return undefined;
  const asn = (asOctets === 4 ? value.u32() : value.u16()) as Asn;
  return asn === 0 ? undefined : { asn, address: ipFromBytes(value.bytes(4)) };
}

/** RFC 4271 section 6.3 asks for a host address: not 0.0.0.0, not class D or E. */
function isHost4(octets: Uint8Array): boolean {
  const first = octets[0] ?? 0;
  return first < 224 && octets.some((octet) => octet !== 0);
}
