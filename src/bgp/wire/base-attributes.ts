import type { Asn } from "../../lib/asn.ts";
import type { ByteWriter } from "../../lib/byte-writer.ts";
import { octetsOf, readAddress } from "./address-memo.ts";
import {
  checkAsPath,
  decodeAsPath,
  encodeAsPath,
  hasConfederation,
  needsAs4Path,
  withoutConfederation,
} from "./as-path.ts";
import type { AttributeCursor } from "./attribute-cursor.ts";
import { attributeFlag, optionalTransitive, wellKnown } from "./attribute-flag.ts";
import type { AttributeRow } from "./attribute-row.ts";
import type { PathAttributes } from "./message.ts";
import { asTrans } from "./open.ts";

type Aggregator = NonNullable<PathAttributes["aggregator"]>;

/** The attributes of RFC 4271, and those that carry 4-octet ASes through old speakers. */
export const baseAttributes: readonly AttributeRow[] = [
  {
    code: 1,
    name: "ORIGIN",
    rfc: "4271 section 5.1.1",
    flags: wellKnown,
    onError: "withdraw",
    check: (value) => value.length === 1 && value.u8(0) <= 2,
    decode: (value, { attributes }) => {
      attributes.origin = value.u8(0) as 0 | 1 | 2;
    },
    encode: {
      isSent: () => true,
      write: ({ attributes }, to) => void to.u8(attributes.origin),
    },
  },
  {
    code: 2,
    name: "AS_PATH",
    rfc: "4271 section 5.1.2",
    flags: wellKnown,
    onError: "withdraw",
    // RFC 5065 section 5: confederation segments come only from our own confederation.
    check: (value, { fourOctetAs, external }) => {
      const asOctets = fourOctetAs ? 4 : 2;
      return checkAsPath(value, asOctets) && !(external && hasConfederation(value, asOctets));
    },
    decode: (value, { attributes }, { fourOctetAs }) => {
      attributes.asPath = decodeAsPath(value, fourOctetAs ? 4 : 2);
    },
    encode: {
      isSent: () => true,
      write: ({ attributes }, to, { fourOctetAs }) =>
        encodeAsPath(attributes.asPath, fourOctetAs ? 4 : 2, to),
    },
  },
  {
    code: 3,
    name: "NEXT_HOP",
    rfc: "4271 section 5.1.3",
    flags: wellKnown,
    onError: "withdraw",
    check: (value) => value.length === 4 && isHost4(value),
    encode: {
      isSent: ({ nextHop }) => nextHop !== undefined,
      write: ({ nextHop }, to) => void (nextHop !== undefined && to.bytes(octetsOf(nextHop))),
    },
  },
  {
    code: 4,
    name: "MULTI_EXIT_DISC",
    rfc: "4271 section 5.1.4",
    flags: attributeFlag.optional,
    onError: "withdraw",
    check: (value) => value.length === 4,
    decode: (value, { attributes }) => {
      attributes.med = value.u32(0);
    },
    encode: {
      isSent: ({ attributes }) => attributes.med !== undefined,
      write: ({ attributes }, to) => void to.u32(attributes.med ?? 0),
    },
  },
  {
    code: 5,
    name: "LOCAL_PREF",
    rfc: "4271 section 5.1.5",
    flags: wellKnown,
    onError: "withdraw",
    internalOnly: true,
    check: (value) => value.length === 4,
    decode: (value, { attributes }) => {
      attributes.localPref = value.u32(0);
    },
    encode: {
      isSent: ({ attributes }) => attributes.localPref !== undefined,
      write: ({ attributes }, to) => void to.u32(attributes.localPref ?? 0),
    },
  },
  {
    code: 6,
    name: "ATOMIC_AGGREGATE",
    rfc: "4271 section 5.1.6",
    flags: wellKnown,
    onError: "discard",
    check: (value) => value.length === 0,
    decode: (_, { attributes }) => {
      attributes.atomicAggregate = true;
    },
    encode: {
      isSent: ({ attributes }) => attributes.atomicAggregate === true,
      write: () => undefined,
    },
  },
  {
    code: 7,
    name: "AGGREGATOR",
    rfc: "4271 section 5.1.7",
    flags: optionalTransitive,
    onError: "discard",
    check: (value, { fourOctetAs }) => checkAggregator(value, fourOctetAs ? 4 : 2),
    decode: (value, { attributes }, { fourOctetAs }) => {
      attributes.aggregator = decodeAggregator(value, fourOctetAs ? 4 : 2);
    },
    encode: {
      isSent: ({ attributes }) => attributes.aggregator !== undefined,
      write: ({ attributes }, to, { fourOctetAs }) =>
        writeAggregator(attributes.aggregator, fourOctetAs ? 4 : 2, to),
    },
  },
  {
    code: 17,
    name: "AS4_PATH",
    rfc: "6793 section 6",
    flags: optionalTransitive,
    onError: "discard",
    check: (value) => value.length > 0 && checkAsPath(value, 4),
    decode: (value, draft) => {
      draft.as4Path = decodeAsPath(value, 4);
    },
    encode: {
      isSent: ({ attributes }, { fourOctetAs }) => !fourOctetAs && needsAs4Path(attributes.asPath),
      write: ({ attributes }, to) => encodeAsPath(withoutConfederation(attributes.asPath), 4, to),
    },
  },
  {
    code: 18,
    name: "AS4_AGGREGATOR",
    rfc: "6793 section 6",
    flags: optionalTransitive,
    onError: "discard",
    check: (value) => checkAggregator(value, 4),
    decode: (value, draft) => {
      draft.as4Aggregator = decodeAggregator(value, 4);
    },
    encode: {
      isSent: ({ attributes }, { fourOctetAs }) =>
        !fourOctetAs && (attributes.aggregator?.asn ?? 0) > 0xffff,
      write: ({ attributes }, to) => writeAggregator(attributes.aggregator, 4, to),
    },
  },
];

/** AS (2 or 4), which is not 0 (RFC 7607 section 2), IPv4 address (4). */
function checkAggregator(value: AttributeCursor, asOctets: 2 | 4): boolean {
  if (value.length !== asOctets + 4) return false;
  return (asOctets === 4 ? value.u32(0) : value.u16(0)) !== 0;
}

function decodeAggregator(value: AttributeCursor, asOctets: 2 | 4): Aggregator {
  const asn = (asOctets === 4 ? value.u32(0) : value.u16(0)) as Asn;
  return { asn, address: readAddress(value, asOctets, 4) };
}

function writeAggregator(
  aggregator: Aggregator | undefined,
  asOctets: 2 | 4,
  to: ByteWriter,
): void {
  if (aggregator === undefined) return;
  const { asn, address } = aggregator;
  if (asOctets === 4) to.u32(asn);
  else to.u16(asn > 0xffff ? asTrans : asn);
  to.bytes(octetsOf(address));
}

/** RFC 4271 section 6.3 asks for a host address: not 0.0.0.0, not class D or E. */
function isHost4(value: AttributeCursor): boolean {
  return value.u8(0) < 224 && value.u32(0) !== 0;
}
