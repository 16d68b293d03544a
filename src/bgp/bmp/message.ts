import { ByteWriter } from "../../lib/byte-writer.ts";
import { type IpAddr, ipBytes, ipFamily } from "../../lib/ip-addr.ts";

/**
 * The messages of the BGP Monitoring Protocol (RFC 7854), version 3. Each starts with a common header
 * (section 4.1):
 *
 *   0         1        5      6
 *   | version | length | type | ...
 */

const version = 3;
const commonHeaderLength = 6;

const bmpType = {
  routeMonitoring: 0,
  statisticsReport: 1,
  peerDown: 2,
  peerUp: 3,
  initiation: 4,
  termination: 5,
} as const;

/** Of whom a message speaks (section 4.2): a peer of the global instance, before import policy. */
export interface BmpPeer {
  readonly address: IpAddr;
  readonly asn: number;
  readonly routerId: number;
  /** AS_PATHs have 2-octet ASes. */
  readonly isOldSpeaker: boolean;
}

/** Flags of the per-peer header. */
const peerFlag = { ipv6: 0x80, oldAsPath: 0x20 } as const;
const globalInstance = 0;

/** A message of a peer and when it was. */
export interface PeerStamp {
  readonly peer: BmpPeer;
  readonly date: Date;
}

/** Types of the information in initiation (section 4.4), and of termination (section 4.5). */
const informationType = { sysDescr: 1, sysName: 2 } as const;
const terminationType = { text: 0, reason: 1 } as const;

/** Who speaks. */
export function encodeInitiation(system: {
  readonly name: string;
  readonly description: string;
}): Uint8Array {
  const to = new ByteWriter(128);
  writeText(to, informationType.sysDescr, system.description);
  writeText(to, informationType.sysName, system.name);
  return frame(bmpType.initiation, to.finish());
}

/** The session with the collector ends: 0, administratively. */
export function encodeTermination(words: string): Uint8Array {
  const to = new ByteWriter(64);
  writeText(to, terminationType.text, words);
  to.u16(terminationType.reason).u16(2).u16(0);
  return frame(bmpType.termination, to.finish());
}

export interface PeerUp {
  readonly localAddress: IpAddr;
  readonly localPort: number;
  readonly remotePort: number;
  /** Whole messages. */
  readonly sentOpen: Uint8Array;
  readonly receivedOpen: Uint8Array;
}

/** Section 4.10: local address (16), ports (2, 2), OPEN sent, OPEN received. */
export function encodePeerUp(stamp: PeerStamp, up: PeerUp): Uint8Array {
  const to = perPeer(stamp);
  writeAddress(to, up.localAddress);
  to.u16(up.localPort).u16(up.remotePort).bytes(up.sentOpen).bytes(up.receivedOpen);
  return frame(bmpType.peerUp, to.finish());
}

/** Why a session has ended (section 4.9). Notifications are whole messages. */
export type PeerDownReason =
  | { readonly kind: "localNotification"; readonly notification: Uint8Array }
  | { readonly kind: "remoteNotification"; readonly notification: Uint8Array }
  /** TCP has ended. */
  | { readonly kind: "remoteClosed" };

export function encodePeerDown(stamp: PeerStamp, reason: PeerDownReason): Uint8Array {
  const to = perPeer(stamp);
  if (reason.kind === "remoteClosed") to.u8(4);
  else to.u8(reason.kind === "localNotification" ? 1 : 3).bytes(reason.notification);
  return frame(bmpType.peerDown, to.finish());
}

/** Section 4.6: one whole UPDATE. */
export function encodeRouteMonitoring(stamp: PeerStamp, update: Uint8Array): Uint8Array {
  return frame(bmpType.routeMonitoring, perPeer(stamp).bytes(update).finish());
}

/** What is counted of a peer (section 4.8). */
export interface PeerStatistics {
  /** Paths in its Adj-RIB-In, by AFI. */
  readonly routes: readonly { readonly afi: number; readonly safi: number; count: number }[];
  /** UPDATEs, and prefixes in them, that were treated as withdraw (RFC 7606). */
  readonly updatesAsWithdraw: number;
  readonly prefixesAsWithdraw: number;
}

const statistic = { routes: 7, routesOfFamily: 9, updatesAsWithdraw: 11, prefixesAsWithdraw: 12 };

export function encodeStatistics(stamp: PeerStamp, counts: PeerStatistics): Uint8Array {
  const { routes, updatesAsWithdraw, prefixesAsWithdraw } = counts;
  const to = perPeer(stamp).u32(3 + routes.length);
  to.u16(statistic.routes).u16(8);
  writeGauge(
    to,
    routes.reduce((sum, { count }) => sum + count, 0),
  );
  for (const { afi, safi, count } of routes) {
    to.u16(statistic.routesOfFamily).u16(11).u16(afi).u8(safi);
    writeGauge(to, count);
  }
  to.u16(statistic.updatesAsWithdraw).u16(4).u32(updatesAsWithdraw);
  to.u16(statistic.prefixesAsWithdraw).u16(4).u32(prefixesAsWithdraw);
  return frame(bmpType.statisticsReport, to.finish());
}

/**
 * Per-peer header: type (1), flags (1), distinguisher (8), address (16), AS (4), BGP ID (4), seconds (4)
 * and microseconds (4) of Unix time.
 */
function perPeer({ peer, date }: PeerStamp): ByteWriter {
  const isIpv6 = ipFamily(peer.address) === 6;
  const flags = (isIpv6 ? peerFlag.ipv6 : 0) | (peer.isOldSpeaker ? peerFlag.oldAsPath : 0);
  const to = new ByteWriter(256).u8(globalInstance).u8(flags).u32(0).u32(0);
  writeAddress(to, peer.address);
  const ms = date.getTime();
  return to
    .u32(peer.asn)
    .u32(peer.routerId)
    .u32(Math.floor(ms / 1000))
    .u32((ms % 1000) * 1000);
}

/** 16 octets, IPv4 in the last four. */
function writeAddress(to: ByteWriter, address: IpAddr): void {
  const octets = ipBytes(address);
  to.bytes(new Uint8Array(16 - octets.length)).bytes(octets);
}

function writeText(to: ByteWriter, type: number, text: string): void {
  const octets = new TextEncoder().encode(text);
  to.u16(type).u16(octets.length).bytes(octets);
}

function writeGauge(to: ByteWriter, value: number): void {
  to.u32(Math.floor(value / 0x1_0000_0000)).u32(value >>> 0);
}

function frame(type: number, body: Uint8Array): Uint8Array {
  return new ByteWriter(commonHeaderLength + body.length)
    .u8(version)
    .u32(commonHeaderLength + body.length)
    .u8(type)
    .bytes(body)
    .finish();
}
