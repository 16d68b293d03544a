import { ipBytes, ipFamily } from "../../src/lib/ip-addr.ts";
import type { Packet } from "../../src/policy/packet.ts";

/**
 * First packets of connections as bytes, with the IP header: a TCP SYN, a datagram, an echo request, an
 * SCTP INIT, or anything of another protocol. Each carries an id, by which it is known where it arrives.
 * Checksums are left out, but IPv4's, which the kernel fills in, and ICMPv6's, without which a raw socket
 * is given nothing.
 */

const tcp = 6;
const udp = 17;
const sctp = 132;
const icmpv6 = 58;
const icmp = [1, icmpv6];

export function rawPacket(packet: Packet, id: number): Buffer {
  const body = bodyOf(packet, id);
  if (packet.protocol === icmpv6) body.writeUInt16BE(checksum(packet, body), 2);
  return Buffer.concat([header(packet, body.length), body]);
}

/** Where the id is, behind the IP header (RFC 9293, 768, 792, 4960). */
export function idOffset(protocol: number): number {
  if (protocol === tcp) return 4;
  if (protocol === udp || icmp.includes(protocol)) return 8;
  return protocol === sctp ? 16 : 0;
}

function bodyOf(
  { protocol, sourcePort = 40_000, destinationPort = 0, icmp: message }: Packet,
  id: number,
) {
  const body = Buffer.alloc(bodyLength(protocol));
  if ([tcp, udp, sctp].includes(protocol)) {
    body.writeUInt16BE(sourcePort, 0);
    body.writeUInt16BE(destinationPort, 2);
  }
  if (protocol === tcp) {
    body.writeUInt8(5 << 4, 12);
    body.writeUInt8(0x02, 13); // SYN
    body.writeUInt16BE(1024, 14);
  } else if (protocol === udp) {
    body.writeUInt16BE(body.length, 4);
  } else if (protocol === sctp) {
    body.writeUInt8(1, 12); // INIT
    body.writeUInt16BE(20, 14);
    body.writeUInt32BE(0xffff, 20);
    body.writeUInt32BE(0x10001, 24);
  } else if (message !== undefined) {
    body.writeUInt8(message.type, 0);
    body.writeUInt8(message.code, 1);
    body.writeUInt16BE(id & 0xffff, 4); // Of the echo: another connection than the last.
  }
  body.writeUInt32BE(id, idOffset(protocol));
  return body;
}

/** RFC 4443 section 2.3, of an even number of octets. */
function checksum({ source, destination, protocol }: Packet, body: Buffer): number {
  const pseudoHeader = [...ipBytes(source), ...ipBytes(destination), 0, body.length, 0, protocol];
  const bytes = Buffer.concat([Buffer.from(pseudoHeader), body]);
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function bodyLength(protocol: number): number {
  if (protocol === tcp) return 20;
  return protocol === sctp ? 32 : 12;
}

function header({ source, destination, protocol }: Packet, length: number): Buffer {
  const addresses = Buffer.concat([ipBytes(source), ipBytes(destination)]);
  if (ipFamily(source) === 6) {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt8(6 << 4, 0);
    bytes.writeUInt16BE(length, 4);
    bytes.writeUInt8(protocol, 6);
    bytes.writeUInt8(64, 7);
    return Buffer.concat([bytes, addresses]);
  }
  const bytes = Buffer.alloc(12);
  bytes.writeUInt8(0x45, 0);
  bytes.writeUInt16BE(20 + length, 2);
  bytes.writeUInt8(64, 8);
  bytes.writeUInt8(protocol, 9);
  return Buffer.concat([bytes, addresses]);
}
