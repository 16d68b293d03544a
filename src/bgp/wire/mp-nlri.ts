import type { ByteReader } from "../../lib/byte-reader.ts";
import { type IpAddr, ipFromBytes } from "../../lib/ip-addr.ts";
import type { DecodeContext } from "./context.ts";
import { familyOf } from "./family.ts";
import type { PackedPrefixes } from "./message.ts";
import { decodeNlri } from "./nlri.ts";

/**
 * The prefixes of a family that is not negotiated are not read: both fields are absent. Without
 * `nextHop` alone, the next hop is no address of a host, so that the prefixes are unusable.
 */
export interface MpReach {
  readonly nextHop?: IpAddr;
  readonly prefixes?: PackedPrefixes;
}

/**
 * MP_REACH_NLRI (RFC 4760 section 3): AFI (2), SAFI (1), length of next hop (1), next hop,
 * reserved (1), NLRI. Undefined when malformed (RFC 7606 section 7.11).
 */
export function decodeMpReach(
  value: ByteReader,
  { families, addPath }: DecodeContext,
): MpReach | undefined {
  if (value.remaining < 5) return undefined;
  const family = familyOf(value.u16(), value.u8());
  const nextHopLength = value.u8();
  if (family === undefined || !families.includes(family)) return {};
  const lengthFits = family === 4 ? nextHopLength === 4 : nextHopLength % 16 === 0;
  if (!lengthFits || nextHopLength === 0 || nextHopLength > 32) return undefined;
  if (value.remaining < nextHopLength + 1) return undefined;
  const nextHop = pickNextHop(value.bytes(nextHopLength));
  value.u8();
  const prefixes = decodeNlri(value.bytes(value.remaining), family, addPath?.includes(family));
  if (prefixes === undefined) return undefined;
  return nextHop === undefined ? { prefixes } : { nextHop, prefixes };
}

/** MP_UNREACH_NLRI (RFC 4760 section 4): AFI (2), SAFI (1), withdrawn prefixes. */
export function decodeMpUnreach(
  value: ByteReader,
  { families, addPath }: DecodeContext,
): { readonly prefixes?: PackedPrefixes } | undefined {
  if (value.remaining < 3) return undefined;
  const family = familyOf(value.u16(), value.u8());
  if (family === undefined || !families.includes(family)) return {};
  const prefixes = decodeNlri(value.bytes(value.remaining), family, addPath?.includes(family));
  return prefixes === undefined ? undefined : { prefixes };
}

/**
 * Of 32 octets the first address is the global one (RFC 2545 section 3); a peer that has none fills
 * it with zeros, then the link-local one behind it counts.
 */
function pickNextHop(octets: Uint8Array): IpAddr | undefined {
  const global = octets.subarray(0, octets.length === 4 ? 4 : 16);
  const chosen = octets.length === 32 && isZero(global) ? octets.subarray(16) : global;
  const first = chosen[0] ?? 0;
  const multicast = chosen.length === 4 ? first >= 224 : first === 0xff;
  return multicast || isZero(chosen) ? undefined : ipFromBytes(chosen);
}

function isZero(octets: Uint8Array): boolean {
  return octets.every((octet) => octet === 0);
}
