import type { IpFamily } from "../../../src/lib/ip-addr.ts";
import type { ProbePacket } from "./probe-text.ts";

/** Bytes of packets that are sent through raw sockets. Each holds its id. */

/** Requests that connection tracking takes for new: echo; timestamp, or node information. */
const icmpTypes = { echo: { 4: 8, 6: 128 }, other: { 4: 13, 6: 139 } } as const;
const sctpInitBytes = 20;
const castagnoli = 0x82f63b78;

export function icmpRequest(
  { type, code }: Extract<ProbePacket, { kind: "icmp" }>,
  family: IpFamily,
  content: { readonly identifier: number; readonly id: Buffer },
): Buffer {
  const packet = Buffer.alloc(8 + content.id.length);
  packet.writeUInt8(icmpTypes[type][family], 0);
  packet.writeUInt8(code, 1);
  packet.writeUInt16BE(content.identifier, 4);
  content.id.copy(packet, 8);
  // Of ICMPv6 the kernel does it: it needs the addresses.
  if (family === 4) packet.writeUInt16BE(internetChecksum(packet), 2);
  return packet;
}

/** An SCTP packet with an INIT chunk (RFC 9260 section 3.3.2) and the id in a parameter nobody knows. */
export function sctpInit(
  ports: { readonly from: number; readonly to: number },
  id: Buffer,
): Buffer {
  const packet = Buffer.alloc(12 + sctpInitBytes + 4 + id.length);
  packet.writeUInt16BE(ports.from, 0);
  packet.writeUInt16BE(ports.to, 2);
  packet.writeUInt8(1, 12);
  packet.writeUInt16BE(packet.length - 12, 14);
  packet.writeUInt32BE(ports.from, 16);
  packet.writeUInt32BE(0x10000, 20);
  packet.writeUInt16BE(1, 24);
  packet.writeUInt16BE(1, 26);
  packet.writeUInt32BE(1, 28);
  packet.writeUInt16BE(0x8001, 32);
  packet.writeUInt16BE(4 + id.length, 34);
  id.copy(packet, 36);
  packet.writeUInt32LE(crc32c(packet), 8);
  return packet;
}

/** RFC 1071. */
function internetChecksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ castagnoli : crc >>> 1;
  }
  return ~crc >>> 0;
}
