import { type IpAddr, type IpFamily, ipBytes, ipFamily } from "../lib/ip-addr.ts";
import { bufferAddress, errno, libc } from "./netlink/libc.ts";
import { systemError } from "./netlink/netlink-error.ts";

/**
 * UDP sockets with what node:dgram cannot ask for: a least TTL of what is received. IP_MINTTL is for
 * TCP only, so a socket filter of four instructions (classic BPF) drops the rest in the kernel.
 */

const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
/** Offset at which a filter sees the network header. */
const SKF_NET_OFF = -0x100000;
const programBytes = 16;
/** Class Selector 6, as routing protocols are sent (RFC 4594 section 3.1). */
const internetworkControl = 0xc0;

/** Numbers of each family: [level, option] of TTL and traffic class; where the header has the TTL. */
const families: Readonly<
  Record<
    IpFamily,
    {
      readonly domain: number;
      readonly ttl: readonly [level: number, option: number];
      readonly trafficClass: readonly [level: number, option: number];
      readonly ttlOffset: number;
    }
  >
> = {
  4: { domain: 2, ttl: [0, 2], trafficClass: [0, 1], ttlOffset: 8 },
  6: { domain: 10, ttl: [41, 16], trafficClass: [41, 67], ttlOffset: 7 },
};

export interface UdpSocketConfig {
  readonly address: IpAddr;
  readonly port: number;
  /** Interface of a link-local address. */
  readonly zone?: string;
  /** TTL or hop limit of what is sent. */
  readonly ttl: number;
  /** What arrives with less is dropped. Absent: nothing is. */
  readonly minTtl?: number;
}

/**
 * A bound socket's descriptor, for `dgram.Socket.bind({ fd })`. Packets leave as network control.
 *
 * @throws {NetlinkError} when the address or the port cannot be had.
 */
export function openUdpSocket(config: UdpSocketConfig): number {
  const { domain, ttl, trafficClass, ttlOffset } = families[ipFamily(config.address)];
  const fd = libc.socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw systemError("Cannot open a UDP socket", errno());
  const check = (result: number, what: string) => {
    if (result >= 0) return;
    const code = errno();
    libc.close(fd);
    throw systemError(`Cannot ${what}`, code);
  };
  const int = (value: number) => Buffer.from(Int32Array.of(value).buffer);
  check(libc.setsockopt(fd, ...ttl, int(config.ttl), 4), "set the TTL");
  check(libc.setsockopt(fd, ...trafficClass, int(internetworkControl), 4), "set the class");
  // Before bind(): no packet can come earlier than the filter.
  if (config.minTtl !== undefined) {
    const filter = ttlFilter(ttlOffset, config.minTtl);
    check(
      libc.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, filter, programBytes),
      "set the filter",
    );
  }
  const address = socketAddress(domain, config);
  const where = `bind UDP port ${config.port} of ${config.address}`;
  check(libc.bind(fd, address, address.length), where);
  return fd;
}

/** struct sock_fprog: length(2) pad(6) pointer(8); and behind it the instructions it points to. */
function ttlFilter(ttlOffset: number, minTtl: number): Buffer {
  const instructions = [
    instruction({ code: 0x30, k: SKF_NET_OFF + ttlOffset }), // ldb [ttl]
    instruction({ code: 0x35, k: minTtl, ifFalse: 1 }), // jge #minTtl
    instruction({ code: 0x06, k: 0xffff }), // ret #all
    instruction({ code: 0x06, k: 0 }), // ret #0
  ];
  const filter = Buffer.concat([Buffer.alloc(programBytes), ...instructions]);
  filter.writeUInt16LE(instructions.length, 0);
  filter.writeBigUInt64LE(bufferAddress(filter) + BigInt(programBytes), 8);
  return filter;
}

/** struct sock_filter: code(2) jump if true(1) if false(1) k(4). */
function instruction(of: { readonly code: number; readonly k: number; readonly ifFalse?: number }) {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(of.code, 0);
  bytes.writeUInt8(of.ifFalse ?? 0, 3);
  bytes.writeUInt32LE(of.k >>> 0, 4);
  return bytes;
}

/**
 * struct sockaddr_in: family(2) port(2) address(4) zero(8); sockaddr_in6: family(2) port(2) flow(4)
 * address(16) scope(4).
 */
function socketAddress(domain: number, { address, port, zone }: UdpSocketConfig): Buffer {
  const bytes = ipBytes(address);
  const isV4 = bytes.length === 4;
  const structure = Buffer.alloc(isV4 ? 16 : 28);
  structure.writeUInt16LE(domain, 0);
  structure.writeUInt16BE(port, 2);
  structure.set(bytes, isV4 ? 4 : 8);
  if (zone !== undefined && !isV4) structure.writeUInt32LE(libc.if_nametoindex(zone), 24);
  return structure;
}
