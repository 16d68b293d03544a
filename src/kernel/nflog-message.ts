import { type IpAddr, ipFromBytes } from "../lib/ip-addr.ts";
import { attributesOf, type MessageWriter, messagesOf, textOf } from "./netlink/message.ts";

/** Messages of the kernel's nfnetlink_log (linux/netfilter/nfnetlink_log.h). */

const subsystem = 4 << 8;
/** nlmsg_type: the subsystem in the high octet. */
export const nflogMessage: { readonly packet: number; readonly config: number } = {
  packet: subsystem,
  config: subsystem | 1,
};

const attribute = { payload: 9, prefix: 10 } as const;
const configAttribute = { command: 1, mode: 2, timeout: 4, queueThreshold: 5 } as const;
const bindCommand = 1;
const copyPacket = 2;

/** struct nfgenmsg: family u8, version u8, group u16 in network order. */
const headerBytes = 4;
/** Of a packet: its headers, and more of IPv6's extensions than anybody sends. */
const copiedBytes = 128;
/** The kernel tells of so many packets at once, or of fewer after this time, in 1/100 s. */
const packetsAtOnce = 64;
const timeout = 20;

/** A packet that an NFLOG rule saw. */
export interface NflogPacket {
  readonly group: number;
  readonly prefix: string;
  readonly source: IpAddr;
  readonly destination: IpAddr;
  /** IANA number; for IPv6 that behind its extension headers. */
  readonly protocol: number;
  /** Of TCP, UDP, SCTP and DCCP, in a packet that is no later fragment. */
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly icmp?: { readonly type: number; readonly code: number };
}

/** What makes the sender hear of `group`.. */
export function writeBind(writer: MessageWriter, group: number): void {
  writer.header(groupHeader(group)).u8(configAttribute.command, bindCommand);
}

export function writeGroupOptions(writer: MessageWriter, group: number): void {
  const mode = Buffer.alloc(6);
  mode.writeUInt32BE(copiedBytes, 0);
  mode.writeUInt8(copyPacket, 4);
  writer
    .header(groupHeader(group))
    .attribute(configAttribute.mode, mode)
    .u32be(configAttribute.timeout, timeout)
    .u32be(configAttribute.queueThreshold, packetsAtOnce);
}

function groupHeader(group: number): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(group, 2);
  return header;
}

/** Packets that one datagram tells of. Never throws: octets that are no such message are skipped. */
export function nflogPackets(datagram: Buffer): NflogPacket[] {
  const packets: NflogPacket[] = [];
  for (const { type, body } of messagesOf(datagram)) {
    if (type !== nflogMessage.packet || body.length < headerBytes) continue;
    const attributes = attributesOf(body, headerBytes);
    const packet = parsePacket(attributes.get(attribute.payload) ?? Buffer.alloc(0));
    if (packet === undefined) continue;
    const prefix = textOf(attributes.get(attribute.prefix)) ?? "";
    packets.push({ group: body.readUInt16BE(2), prefix, ...packet });
  }
  return packets;
}

type Parsed = Omit<NflogPacket, "group" | "prefix">;

function parsePacket(bytes: Buffer): Parsed | undefined {
  const version = (bytes[0] ?? 0) >> 4;
  if (version === 4) return parseIpv4(bytes);
  if (version === 6) return parseIpv6(bytes);
  return undefined;
}

/** RFC 791 section 3.1. */
function parseIpv4(bytes: Buffer): Parsed | undefined {
  const length = ((bytes[0] ?? 0) & 15) * 4;
  if (length < 20 || bytes.length < length) return undefined;
  const isFirst = (bytes.readUInt16BE(6) & 0x1fff) === 0;
  const protocol = bytes.readUInt8(9);
  return {
    source: ipFromBytes(bytes.subarray(12, 16)),
    destination: ipFromBytes(bytes.subarray(16, 20)),
    protocol,
    ...(isFirst ? upperHeader(protocol, bytes.subarray(length)) : {}),
  };
}

const extension = { hopByHop: 0, routing: 43, fragment: 44, destination: 60 } as const;

/** RFC 8200 sections 3 and 4. */
function parseIpv6(bytes: Buffer): Parsed | undefined {
  if (bytes.length < 40) return undefined;
  let protocol = bytes.readUInt8(6);
  let at = 40;
  let isFirst = true;
  while (Object.values<number>(extension).includes(protocol) && at + 8 <= bytes.length) {
    const isFragment = protocol === extension.fragment;
    if (isFragment) isFirst &&= (bytes.readUInt16BE(at + 2) & 0xfff8) === 0;
    protocol = bytes.readUInt8(at);
    at += isFragment ? 8 : (bytes.readUInt8(at + 1) + 1) * 8;
    if (!isFirst) break;
  }
  return {
    source: ipFromBytes(bytes.subarray(8, 24)),
    destination: ipFromBytes(bytes.subarray(24, 40)),
    protocol,
    ...(isFirst ? upperHeader(protocol, bytes.subarray(at)) : {}),
  };
}

/** TCP, UDP, DCCP, SCTP, UDP-Lite: source and destination port come first. */
const withPorts = new Set([6, 17, 33, 132, 136]);
const icmpProtocols = new Set([1, 58]);

function upperHeader(protocol: number, bytes: Buffer): Partial<Parsed> {
  if (withPorts.has(protocol) && bytes.length >= 4) {
    return { sourcePort: bytes.readUInt16BE(0), destinationPort: bytes.readUInt16BE(2) };
  }
  if (icmpProtocols.has(protocol) && bytes.length >= 2) {
    return { icmp: { type: bytes.readUInt8(0), code: bytes.readUInt8(1) } };
  }
  return {};
}
