import { ByteWriter } from "../../lib/byte-writer.ts";
import { type IpAddr, ipFamily, ipFromBytes } from "../../lib/ip-addr.ts";
import { octetsOf } from "./address-memo.ts";
import { AttributeCursor } from "./attribute-cursor.ts";
import { attributeFlag } from "./attribute-flag.ts";
import { attributeCode } from "./attribute-row.ts";
import { decodePathAttributes } from "./attributes.ts";
import type { DecodeContext, EncodeOptions } from "./context.ts";
import { writeAttribute, writeAttributes } from "./encode-attributes.ts";
import { afiOf, safiUnicast } from "./family.ts";
import type { PathAttributes } from "./message.ts";

/**
 * Route bytes: the path attributes of a route as one string of octets, next hop included, as the RIB
 * keeps them. They are the attributes of an UPDATE with 4-octet ASes; an IPv6 next hop is in an
 * MP_REACH_NLRI without prefixes. An UPDATE for IPv4 has them as they are.
 */

const context: DecodeContext = { fourOctetAs: true, external: false, families: [] };

/** Without a next hop: what we originate. */
export function encodeRoute(
  attributes: PathAttributes,
  nextHop: IpAddr | undefined,
  options: EncodeOptions = { fourOctetAs: true },
): Uint8Array {
  const to = new ByteWriter(128);
  if (nextHop !== undefined && ipFamily(nextHop) === 4) {
    writeAttributes({ attributes, nextHop }, options, to);
    return to.finish();
  }
  writeAttributes({ attributes }, options, to);
  if (nextHop !== undefined) writeNextHop6(nextHop, to);
  return to.finish();
}

/** Reads what was checked when it was received. */
export function decodeRoute(bytes: Uint8Array): {
  readonly attributes: PathAttributes;
  readonly nextHop: IpAddr | undefined;
} {
  return { attributes: decodePathAttributes(bytes, context), nextHop: nextHopOf(bytes) };
}

/** Route bytes as a peer with other options reads them. */
export function encodeRouteFor(bytes: Uint8Array, options: EncodeOptions): Uint8Array {
  const { attributes, nextHop } = decodeRoute(bytes);
  return encodeRoute(attributes, nextHop, options);
}

/** The attribute that has a next hop: NEXT_HOP, or MP_REACH_NLRI without prefixes. */
export function nextHopAttribute(nextHop: IpAddr): Uint8Array {
  const to = new ByteWriter(32);
  if (ipFamily(nextHop) === 6) writeNextHop6(nextHop, to);
  else {
    const value = octetsOf(nextHop);
    writeAttribute({ flags: attributeFlag.transitive, code: attributeCode.nextHop, value }, to);
  }
  return to.finish();
}

function writeNextHop6(nextHop: IpAddr, to: ByteWriter): void {
  const value = new ByteWriter(21).u16(afiOf(6)).u8(safiUnicast).u8(16);
  value.bytes(octetsOf(nextHop)).u8(0);
  const attribute = { flags: attributeFlag.optional, code: attributeCode.mpReach };
  writeAttribute({ ...attribute, value: value.finish() }, to);
}

function nextHopOf(bytes: Uint8Array): IpAddr | undefined {
  const cursor = new AttributeCursor(bytes);
  while (cursor.next()) {
    if (cursor.code === attributeCode.nextHop) return ipFromBytes(cursor.bytes(0, 4));
    if (cursor.code === attributeCode.mpReach) return ipFromBytes(cursor.bytes(4, 16));
  }
  return undefined;
}
