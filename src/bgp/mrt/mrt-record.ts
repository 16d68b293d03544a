import { ByteWriter } from "../../lib/byte-writer.ts";
import { type IpAddr, ipBytes, ipFamily } from "../../lib/ip-addr.ts";
import { type Prefix, prefixAddress, prefixLength } from "../../lib/prefix.ts";
import { attributeFlag } from "../wire/attribute-flag.ts";
import { attributeCode } from "../wire/attribute-row.ts";
import { writeAttribute, writeAttributes } from "../wire/encode-attributes.ts";
import { afiOf } from "../wire/family.ts";
import type { PathAttributes } from "../wire/message.ts";
import { asTrans } from "../wire/open.ts";

/**
 * Records of MRT (RFC 6396), and of its extension for ADD-PATH (RFC 8050). Each has a header:
 *
 *   0           4      6         8        12
 *   | timestamp | type | subtype | length | ...
 */

const mrtType = { tableDumpV2: 13, bgp4mp: 16 } as const;

/** Section 4.3, and RFC 8050 section 4 for those with path identifiers. */
const tableSubtype = {
  peerIndexTable: 1,
  rib: { 4: 2, 6: 4 },
  ribAddPath: { 4: 8, 6: 10 },
} as const;

/** Section 4.4. A subtype is for ASes of 2 or 4 octets. */
const stateChange = { 2: 0, 4: 5 } as const;
/** By direction; those of ADD-PATH from RFC 8050 section 3. */
const message = {
  received: { 2: 1, 4: 4 },
  sent: { 2: 6, 4: 7 },
} as const;
const messageAddPath = {
  received: { 2: 8, 4: 9 },
  sent: { 2: 10, 4: 11 },
} as const;

/** Stands for an address that there is not, or for ourselves. */
export const unspecified: Readonly<Record<4 | 6, IpAddr>> = {
  4: "0.0.0.0" as IpAddr,
  6: "::" as IpAddr,
};

/** One of those who told the routes of a table. */
export interface TablePeer {
  readonly routerId: number;
  readonly address: IpAddr;
  readonly asn: number;
}

/** Section 4.3.1: of whom the entries of the records that follow speak, by their index. */
export function encodePeerIndexTable(
  date: Date,
  { collectorId, peers }: { readonly collectorId: number; readonly peers: readonly TablePeer[] },
): Uint8Array {
  // No name of a view.
  const to = new ByteWriter(1024).u32(collectorId).u16(0).u16(peers.length);
  for (const { routerId, address, asn } of peers) {
    const isIpv6 = ipFamily(address) === 6;
    to.u8((isIpv6 ? 1 : 0) | 2)
      .u32(routerId)
      .bytes(ipBytes(address))
      .u32(asn);
  }
  return record(date, [mrtType.tableDumpV2, tableSubtype.peerIndexTable], to);
}

/** A path to a prefix. */
export interface TableEntry {
  readonly peerIndex: number;
  readonly attributes: PathAttributes;
  readonly nextHop: IpAddr;
  /** Where ADD-PATH is spoken. */
  readonly pathId?: number;
}

/** Section 4.3.2, of entries that all have a path identifier or none. */
export function encodeRib(
  date: Date,
  prefix: Prefix,
  { sequence, entries }: { readonly sequence: number; readonly entries: readonly TableEntry[] },
): Uint8Array {
  const octets = ipBytes(prefixAddress(prefix));
  const length = prefixLength(prefix);
  const to = new ByteWriter(512).u32(sequence).u8(length);
  to.bytes(octets.subarray(0, (length + 7) >> 3)).u16(entries.length);
  for (const { peerIndex, pathId, ...route } of entries) {
    to.u16(peerIndex).u32(Math.floor(date.getTime() / 1000));
    if (pathId !== undefined) to.u32(pathId);
    const field = attributeField(route);
    to.u16(field.length).bytes(field);
  }
  const family = octets.length === 4 ? 4 : 6;
  const isAddPath = entries.some(({ pathId }) => pathId !== undefined);
  const subtype = (isAddPath ? tableSubtype.ribAddPath : tableSubtype.rib)[family];
  return record(date, [mrtType.tableDumpV2, subtype], to);
}

/** ASes have 4 octets; MP_REACH_NLRI holds the next hop and nothing else (section 4.3.4). */
function attributeField({
  attributes,
  nextHop,
}: Pick<TableEntry, "attributes" | "nextHop">): Uint8Array {
  const to = new ByteWriter(256);
  const isIpv4 = ipFamily(nextHop) === 4;
  writeAttributes(isIpv4 ? { attributes, nextHop } : { attributes }, { fourOctetAs: true }, to);
  if (!isIpv4) {
    const value = Uint8Array.of(16, ...ipBytes(nextHop));
    writeAttribute({ flags: attributeFlag.optional, code: attributeCode.mpReach, value }, to);
  }
  return to.finish();
}

/** Both ends of a session. */
export interface MrtSession {
  readonly peerAs: number;
  readonly localAs: number;
  readonly peerAddress: IpAddr;
  readonly localAddress: IpAddr;
  /** AS_PATHs in its UPDATEs have 4-octet ASes. */
  readonly fourOctetAs: boolean;
}

/** BGP4MP_MESSAGE and its kin (section 4.4.2): one whole message. */
export function encodeMessageRecord(
  date: Date,
  session: MrtSession,
  seen: {
    readonly direction: "received" | "sent";
    readonly bytes: Uint8Array;
    /** Prefixes in it have path identifiers. */
    readonly addPath: boolean;
  },
): Uint8Array {
  const asOctets = session.fourOctetAs ? 4 : 2;
  const subtypes = seen.addPath ? messageAddPath : message;
  const to = sessionHead(session, asOctets).bytes(seen.bytes);
  return record(date, [mrtType.bgp4mp, subtypes[seen.direction][asOctets]], to);
}

/** States by their number. */
export const mrtState = { idle: 1, openConfirm: 5, established: 6 } as const;

/** BGP4MP_STATE_CHANGE (section 4.4.1). */
export function encodeStateChange(
  date: Date,
  session: MrtSession,
  { from, to: next }: { readonly from: number; readonly to: number },
): Uint8Array {
  const asOctets = session.fourOctetAs ? 4 : 2;
  const to = sessionHead(session, asOctets).u16(from).u16(next);
  return record(date, [mrtType.bgp4mp, stateChange[asOctets]], to);
}

/** AS of the peer and ours, interface (unknown), AFI, address of the peer and ours. */
function sessionHead(
  { peerAs, localAs, peerAddress, localAddress }: MrtSession,
  asOctets: 2 | 4,
): ByteWriter {
  const to = new ByteWriter(128);
  for (const asn of [peerAs, localAs]) {
    if (asOctets === 4) to.u32(asn);
    else to.u16(asn > 0xffff ? asTrans : asn);
  }
  to.u16(0).u16(afiOf(ipFamily(peerAddress)));
  return to.bytes(ipBytes(peerAddress)).bytes(ipBytes(localAddress));
}

function record(
  date: Date,
  [type, subtype]: readonly [type: number, subtype: number],
  body: ByteWriter,
): Uint8Array {
  return new ByteWriter(12 + body.length)
    .u32(Math.floor(date.getTime() / 1000))
    .u16(type)
    .u16(subtype)
    .u32(body.length)
    .bytes(body.view())
    .finish();
}
