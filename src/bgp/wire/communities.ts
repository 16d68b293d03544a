import type { ByteReader } from "../../lib/byte-reader.ts";

/**
 * Lists of fixed-size items. Undefined when malformed: empty, or not a whole number of items (RFC
 * 7606 sections 7.8, 7.10 and 7.14, RFC 8092 section 5).
 */

/** 4 octets each: 0xAAAANNNN (RFC 1997). */
export function decodeCommunities(value: ByteReader): number[] | undefined {
  return decodeList(value, 4, () => value.u32());
}

/** 4 octets each (RFC 4456 section 8). */
export function decodeClusterList(value: ByteReader): number[] | undefined {
  return decodeList(value, 4, () => value.u32());
}

/** 8 octets each (RFC 4360 section 2), copied. */
export function decodeExtendedCommunities(value: ByteReader): Uint8Array[] | undefined {
  return decodeList(value, 8, () => value.bytes(8).slice());
}

/** Three times 4 octets each; the second of two equal ones is dropped (RFC 8092 section 3). */
export function decodeLargeCommunities(
  value: ByteReader,
): (readonly [number, number, number])[] | undefined {
  const seen = new Set<string>();
  return decodeList(value, 12, () => [value.u32(), value.u32(), value.u32()] as const)?.filter(
    (community) => {
      const key = community.join(":");
      if (seen.has(key)) return false;
      seen.add(key);
      return true;
    },
  );
}

function decodeList<Item>(value: ByteReader, octets: number, read: () => Item): Item[] | undefined {
  if (value.remaining === 0 || value.remaining % octets !== 0) return undefined;
  const items: Item[] = [];
  while (value.remaining > 0) items.push(read());
  return items;
}
