import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import { readAddress } from "./address-memo.ts";
import type { AttributeCursor } from "./attribute-cursor.ts";
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

export type MpUnreach = Pick<MpReach, "prefixes">;

/**
 * MP_REACH_NLRI (RFC 4760 section 3): AFI (2), SAFI (1), length of next hop (1), next hop,
 * reserved (1), NLRI. Undefined when malformed (RFC 7606 section 7.11).
 */
export function decodeMpReach(value: AttributeCursor, context: DecodeContext): MpReach | undefined {
  if (value.length < 5) return undefined;
  const family = familyOf(value.u16(0), value.u8(2));
  const octets = value.u8(3);
  if (family === undefined || !context.families.includes(family)) return {};
  const start = 4 + octets + 1;
  if (!isNextHopLength(octets, family, context) || value.length < start) return undefined;
  const prefixes = decodeRest(value, start, { family, context });
  if (prefixes === undefined) return undefined;
  const nextHop = pickNextHop(value, 4, octets);
  return nextHop === undefined ? { prefixes } : { nextHop, prefixes };
}

/** MP_UNREACH_NLRI (RFC 4760 section 4): AFI (2), SAFI (1), withdrawn prefixes. */
export function decodeMpUnreach(
  value: AttributeCursor,
  context: DecodeContext,
): MpUnreach | undefined {
  if (value.length < 3) return undefined;
  const family = familyOf(value.u16(0), value.u8(2));
  if (family === undefined || !context.families.includes(family)) return {};
  const prefixes = decodeRest(value, 3, { family, context });
  return prefixes && { prefixes };
}

function decodeRest(
  value: AttributeCursor,
  start: number,
  { family, context }: { readonly family: IpFamily; readonly context: DecodeContext },
): PackedPrefixes | undefined {
  const bytes = value.bytes(start, value.length - start);
  return decodeNlri(bytes, family, context.addPath?.includes(family));
}

/** An IPv4 prefix may have an IPv6 next hop when that was negotiated (RFC 8950 section 3). */
function isNextHopLength(
  octets: number,
  family: IpFamily,
  { extendedNextHop }: DecodeContext,
): octets is 4 | 16 | 32 {
  if (octets === 4) return family === 4;
  return (octets === 16 || octets === 32) && (family === 6 || extendedNextHop === true);
}

/**
 * Of 32 octets the first address is the global one (RFC 2545 section 3); a peer that has none fills
 * it with zeros, then the link-local one behind it counts.
 */
function pickNextHop(
  value: AttributeCursor,
  start: number,
  octets: 4 | 16 | 32,
): IpAddr | undefined {
  if (octets === 4) {
    return value.u8(start) >= 224 || isZero(value, start, 4)
      ? undefined
      : readAddress(value, start, 4);
  }
  const at = octets === 32 && isZero(value, start, 16) ? start + 16 : start;
  return value.u8(at) === 0xff || isZero(value, at, 16) ? undefined : readAddress(value, at, 16);
}

function isZero(value: AttributeCursor, start: number, octets: number): boolean {
  for (let at = start; at < start + octets; at += 4) if (value.u32(at) !== 0) return false;
  return true;
}
