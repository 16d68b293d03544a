import { constants } from "node:os";
import { InputError } from "../lib/errors.ts";
import { type IpAddr, type IpFamily, ipBytes, ipFamily } from "../lib/ip-addr.ts";
import { type Prefix, prefixAddress, prefixLength } from "../lib/prefix.ts";
import type { Secret } from "../lib/secret.ts";
import { errno, libc } from "./netlink/libc.ts";
import { systemError } from "./netlink/netlink-error.ts";

/** Options of a TCP socket that Node cannot set, by its descriptor: TCP-MD5 (RFC 2385), GTSM (RFC 5082). */

const AF_INET = 2;
const AF_INET6 = 10;
const SOL_IP = 0;
const SOL_TCP = 6;
const SOL_IPV6 = 41;
const TCP_SAVE_SYN = 27;
const TCP_SAVED_SYN = 28;
const TCP_MD5SIG_EXT = 32;
const TCP_MD5SIG_FLAG_PREFIX = 1;
const ttlOptions = {
  4: { level: SOL_IP, ttl: 2, minTtl: 21, offset: 8 },
  6: { level: SOL_IPV6, ttl: 16, minTtl: 73, offset: 7 },
} as const;
const maxTtl = 255;
const md5Bytes = 216;
const maxKeyBytes = 80;
/** Longest IPv6 header with options that a SYN may have, and the TCP header. */
const savedSynBytes = 512;

/**
 * From now on only segments signed with this key are taken from the prefix, and those sent there are
 * signed. On a listener, connections inherit it. The longest prefix counts.
 *
 * @throws {InputError} when the key has more than 80 octets.
 * @throws {NetlinkError} when the kernel refuses; for want of memory its message names the sysctl.
 */
export function setMd5Key(fd: number, prefix: Prefix, password: Secret): void {
  const key = Buffer.from(password.reveal());
  if (key.length === 0 || key.length > maxKeyBytes) {
    const octets = `${key.length} octets`;
    throw new InputError(`The password has ${octets}, a TCP-MD5 key has 1 to ${maxKeyBytes}`);
  }
  try {
    changeKey(fd, prefix, key);
  } finally {
    key.fill(0);
  }
}

/** @throws {NetlinkError} when there is no such key. */
export function removeMd5Key(fd: number, prefix: Prefix): void {
  changeKey(fd, prefix, Buffer.alloc(0));
}

/** struct tcp_md5sig: address(128) flags(1) prefix length(1) key length(2) interface(4) key(80). */
function changeKey(fd: number, prefix: Prefix, key: Buffer): void {
  const value = Buffer.alloc(md5Bytes);
  value.set(socketAddress(prefixAddress(prefix), 0), 0);
  value.writeUInt8(TCP_MD5SIG_FLAG_PREFIX, 128);
  value.writeUInt8(prefixLength(prefix), 129);
  value.writeUInt16LE(key.length, 130);
  value.set(key, 136);
  const done = libc.setsockopt(fd, SOL_TCP, TCP_MD5SIG_EXT, value, value.length);
  const code = done < 0 ? errno() : 0;
  value.fill(0);
  if (code === 0) return;
  const what = `Cannot ${key.length === 0 ? "remove" : "set"} the TCP-MD5 key of ${prefix}`;
  if (code !== constants.errno.ENOMEM) throw systemError(what, code);
  throw systemError(what, code, "too many keys for the sysctl net.core.optmem_max");
}

/** Packets go out with the highest TTL, as the other end's GTSM asks (RFC 5082 section 3). */
export function setMaxTtl(fd: number, family: IpFamily): void {
  const { level, ttl } = ttlOptions[family];
  setNumber(fd, { level, option: ttl, value: maxTtl });
}

/** GTSM: packets from more than `hops` hops away are dropped from now on. */
export function limitHops(fd: number, family: IpFamily, hops: number): void {
  setMaxTtl(fd, family);
  const { level, minTtl } = ttlOptions[family];
  setNumber(fd, { level, option: minTtl, value: maxTtl + 1 - hops });
}

/** A listener keeps the header of each SYN, for `synHops`. */
export function saveSyn(fd: number): void {
  setNumber(fd, { level: SOL_TCP, option: TCP_SAVE_SYN, value: 1 });
}

/**
 * At least so many hops away is who sent the SYN of an accepted socket: what GTSM cannot see, as
 * `limitHops` comes later. Can be asked once. Undefined when it was not saved.
 */
export function synHops(fd: number, family: IpFamily): number | undefined {
  const [header, length] = [Buffer.alloc(savedSynBytes), Buffer.alloc(4)];
  length.writeUInt32LE(header.length);
  if (libc.getsockopt(fd, SOL_TCP, TCP_SAVED_SYN, header, length) < 0) return undefined;
  if (length.readUInt32LE() === 0) return undefined;
  return maxTtl + 1 - header.readUInt8(ttlOptions[family].offset);
}

function setNumber(
  fd: number,
  { level, option, value }: { readonly level: number; readonly option: number; value: number },
): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  if (libc.setsockopt(fd, level, option, bytes, bytes.length) < 0) {
    throw systemError(`Cannot set socket option ${level}/${option} to ${value}`, errno());
  }
}

/** struct sockaddr_in: family(2) port(2) address(4); sockaddr_in6: family port flow(4) address(16) scope(4). */
export function socketAddress(address: IpAddr, port: number): Buffer {
  const isV6 = ipFamily(address) === 6;
  const bytes = Buffer.alloc(isV6 ? 28 : 16);
  bytes.writeUInt16LE(isV6 ? AF_INET6 : AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(ipBytes(address), isV6 ? 8 : 4);
  return bytes;
}
