import type { PackedPrefixes } from "../../src/bgp/wire/message.ts";
import { fromHex, toHex } from "./hex.ts";
import { pack, unpack } from "./packed-prefixes.ts";

/**
 * BGP messages as JSON: octets are {"hex": "beef"}, packed prefixes are {"packed": ["10.0.0.0/8"]} with
 * "pathIds" beside it.
 */
export function messageFromJson(text: string): unknown {
  return JSON.parse(text, (_, value: unknown) => {
    if (typeof value !== "object" || value === null) return value;
    if ("hex" in value) return fromHex(String(value.hex));
    return "packed" in value ? packedFromJson(value as PackedJson) : value;
  });
}

interface PackedJson {
  readonly packed: readonly string[];
  readonly pathIds?: readonly number[];
}

function packedFromJson({ packed, pathIds }: PackedJson): PackedPrefixes {
  const prefixes = pack(...packed);
  return pathIds === undefined ? prefixes : { ...prefixes, pathIds: Uint32Array.from(pathIds) };
}

/** The text that messageFromJson() reads. */
export function messageToJson(message: unknown): string {
  return JSON.stringify(message, (_, value: unknown) => {
    if (value instanceof Uint8Array) return { hex: toHex(value) };
    if (typeof value !== "object" || value === null || !("words" in value)) return value;
    const prefixes = value as PackedPrefixes;
    const { pathIds } = prefixes;
    return { packed: unpack(prefixes), ...(pathIds !== undefined && { pathIds: [...pathIds] }) };
  });
}
