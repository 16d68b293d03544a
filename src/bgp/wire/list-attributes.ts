import type { AttributeCursor } from "./attribute-cursor.ts";
import { attributeFlag, optionalTransitive } from "./attribute-flag.ts";
import type { AttributeRow } from "./attribute-row.ts";

/**
 * Communities and what route reflectors add. Lists are of fixed-size items; one that is empty or not a
 * whole number of items is malformed (RFC 7606 sections 7.8, 7.10 and 7.14, RFC 8092 section 5).
 */
export const listAttributes: readonly AttributeRow[] = [
  {
    code: 8,
    name: "COMMUNITIES",
    rfc: "1997",
    flags: optionalTransitive,
    onError: "withdraw",
    check: (value) => isListOf(value, 4),
    decode: (value, { attributes }) => {
      attributes.communities = words(value);
    },
    encode: {
      isSent: ({ attributes }) => isFilled(attributes.communities),
      write: ({ attributes }, to) => {
        for (const community of attributes.communities ?? []) to.u32(community);
      },
    },
  },
  {
    code: 9,
    name: "ORIGINATOR_ID",
    rfc: "4456 section 8",
    flags: attributeFlag.optional,
    onError: "withdraw",
    internalOnly: true,
    check: (value) => value.length === 4,
    decode: (value, { attributes }) => {
      attributes.originatorId = value.u32(0);
    },
    encode: {
      isSent: ({ attributes }) => attributes.originatorId !== undefined,
      write: ({ attributes }, to) => void to.u32(attributes.originatorId ?? 0),
    },
  },
  {
    code: 10,
    name: "CLUSTER_LIST",
    rfc: "4456 section 8",
    flags: attributeFlag.optional,
    onError: "withdraw",
    internalOnly: true,
    check: (value) => isListOf(value, 4),
    decode: (value, { attributes }) => {
      attributes.clusterList = words(value);
    },
    encode: {
      isSent: ({ attributes }) => isFilled(attributes.clusterList),
      write: ({ attributes }, to) => {
        for (const cluster of attributes.clusterList ?? []) to.u32(cluster);
      },
    },
  },
  {
    code: 16,
    name: "EXTENDED_COMMUNITIES",
    rfc: "4360",
    flags: optionalTransitive,
    onError: "withdraw",
    check: (value) => isListOf(value, 8),
    decode: (value, { attributes }) => {
      const communities: Uint8Array[] = [];
      for (let at = 0; at < value.length; at += 8) communities.push(value.bytes(at, 8).slice());
      attributes.extendedCommunities = communities;
    },
    encode: {
      isSent: ({ attributes }) => isFilled(attributes.extendedCommunities),
      write: ({ attributes }, to) => {
        for (const community of attributes.extendedCommunities ?? []) to.bytes(community);
      },
    },
  },
  {
    code: 32,
    name: "LARGE_COMMUNITY",
    rfc: "8092",
    flags: optionalTransitive,
    onError: "withdraw",
    check: (value) => isListOf(value, 12),
    decode: (value, { attributes }) => {
      attributes.largeCommunities = largeCommunities(value);
    },
    encode: {
      isSent: ({ attributes }) => isFilled(attributes.largeCommunities),
      write: ({ attributes }, to) => {
        for (const [admin, first, second] of attributes.largeCommunities ?? []) {
          to.u32(admin).u32(first).u32(second);
        }
      },
    },
  },
];

function isListOf(value: AttributeCursor, octets: number): boolean {
  return value.length > 0 && value.length % octets === 0;
}

function isFilled(list: readonly unknown[] | undefined): boolean {
  return list !== undefined && list.length > 0;
}

function words(value: AttributeCursor): number[] {
  const list: number[] = [];
  for (let at = 0; at < value.length; at += 4) list.push(value.u32(at));
  return list;
}

/** Three times 4 octets each; the second of two equal ones is dropped (RFC 8092 section 3). */
function largeCommunities(value: AttributeCursor): (readonly [number, number, number])[] {
  const byText = new Map<string, readonly [number, number, number]>();
  for (let at = 0; at < value.length; at += 12) {
    const community = [value.u32(at), value.u32(at + 4), value.u32(at + 8)] as const;
    const text = community.join(":");
    if (!byText.has(text)) byText.set(text, community);
  }
  return [...byText.values()];
}
