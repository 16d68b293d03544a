import { type IpAddr, type IpFamily, ipBytes, ipFamily } from "../lib/ip-addr.ts";
import { bufferAddress, errno, libc } from "./netlink/libc.ts";
import { systemError } from "./netlink/netlink-error.ts";

/**
 * UDP sockets with what node:dgram cannot ask for: a least TTL of what is received, packets that are
 * never fragmented, packets without checksum. IP_MINTTL is for TCP only, so a socket filter of four
 * instructions (classic BPF) drops the rest in the kernel.
 */

const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
const SOL_SOCKET = 1;
const SOL_UDP = 17;
const SO_NO_CHECK = 11;
const UDP_NO_CHECK6_TX = 101;
const UDP_NO_CHECK6_RX = 102;
/** IP_PMTUDISC_PROBE: DF is set, and what the kernel has learned of the path's MTU is not looked at. */
const PMTUDISC_PROBE = 3;
const SO_ATTACH_FILTER = 26;
/** Offset at which a filter sees the network header. */
const SKF_NET_OFF = -0x100000;
const programBytes = 16;
/** Class Selector 6, as routing protocols are sent (RFC 4594 section 3.1). */
const internetworkControl = 0xc0;

type Option = readonly [level: number, option: number];

/** Numbers of each family: [level, option] of each setting; where the header has the TTL. */
const families: Readonly<
  Record<
    IpFamily,
    {
      readonly domain: number;
      readonly ttl: Option;
      readonly trafficClass: Option;
      readonly mtuDiscover: Option;
      readonly freebind: Option;
      readonly noChecksum: Option;
      readonly ttlOffset: number;
    }
  >
> = {
  4: {
    domain: 2,
    ttl: [0, 2],
    trafficClass: [0, 1],
    mtuDiscover: [0, 10],
    freebind: [0, 15],
    noChecksum: [SOL_SOCKET, SO_NO_CHECK],
    ttlOffset: 8,
  },
  6: {
    domain: 10,
    ttl: [41, 16],
    trafficClass: [41, 67],
    mtuDiscover: [41, 23],
    freebind: [41, 78],
    noChecksum: [SOL_UDP, UDP_NO_CHECK6_TX],
    ttlOffset: 7,
  },
};

export interface UdpSocketConfig {
  readonly address: IpAddr;
  readonly port: number;
  /** Interface of a link-local address. */
  readonly zone?: string;
  /** TTL or hop limit of what is sent. Absent: the kernel's own. */
  readonly ttl?: number;
  /** What arrives with less is dropped. Absent: nothing is. */
  readonly minTtl?: number;
  /** Packets go before others, as routing protocols' do. */
  readonly networkControl?: true;
  /** Packets have DF, whatever the kernel knows of the path's MTU; longer than the link's: EMSGSIZE. */
  readonly dontFragment?: true;
  /** Packets have no UDP checksum. */
  readonly withoutChecksum?: true;
  /** What arrives without UDP checksum is taken, which is so for IPv4 anyway. */
  readonly takesUnchecked?: true;
  /** The address need not be there yet. */
  readonly freebind?: true;
}

/**
 * A bound socket's descriptor, for `dgram.Socket.bind({ fd })`.
 *
 * @throws {NetlinkError} when the address or the port cannot be had.
 */
export function openUdpSocket(config: UdpSocketConfig): number {
  const numbers = families[ipFamily(config.address)];
  const { domain, ttlOffset } = numbers;
  const fd = libc.socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw systemError("Cannot open a UDP socket", errno());
  const check = (result: number, what: string) => {
    if (result >= 0) return;
    const code = errno();
    libc.close(fd);
    throw systemError(`Cannot ${what}`, code);
  };
  for (const [option, value, what] of settings(config, numbers)) {
    const int = Buffer.from(Int32Array.of(value).buffer);
    check(libc.setsockopt(fd, ...option, int, 4), what);
  }
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

/** What is asked of the kernel for a configuration, with its name in errors. */
function settings(
  config: UdpSocketConfig,
  numbers: (typeof families)[IpFamily],
): (readonly [option: Option, value: number, what: string])[] {
  const { ttl, networkControl, dontFragment, withoutChecksum, takesUnchecked, freebind } = config;
  const takesV6 = takesUnchecked === true && ipFamily(config.address) === 6;
  return [
    ...(ttl === undefined ? [] : [[numbers.ttl, ttl, "set the TTL"] as const]),
    ...(networkControl
      ? [[numbers.trafficClass, internetworkControl, "set the class"] as const]
      : []),
    ...(dontFragment ? [[numbers.mtuDiscover, PMTUDISC_PROBE, "set DF"] as const] : []),
    ...(withoutChecksum ? [[numbers.noChecksum, 1, "leave out checksums"] as const] : []),
    ...(takesV6 ? [[[SOL_UDP, UDP_NO_CHECK6_RX], 1, "take no checksums"] as const] : []),
    ...(freebind ? [[numbers.freebind, 1, "bind before the address is there"] as const] : []),
  ];
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
