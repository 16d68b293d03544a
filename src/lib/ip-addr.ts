import { isIPv4, isIPv6, SocketAddress } from "node:net";
import type { Brand } from "./brand.ts";

/** Canonical textual address: "10.0.0.1" or RFC 5952 IPv6. Safe as a Map key. */
export type IpAddr = Brand<string, "IpAddr">;

export type IpFamily = 4 | 6;

/** Number of bits of an address of each family. */
export const addressBits: Readonly<Record<IpFamily, 32 | 128>> = { 4: 32, 6: 128 };

/**
 * Parses an address and returns its canonical form. A zone ("%eth0") is refused.
 *
 * @throws {SyntaxError} when `text` is not an IPv4 or IPv6 address.
 */
export function parseIpAddr(text: string): IpAddr {
  if (isIPv4(text)) return text as IpAddr;
  if (isIPv6(text) && !text.includes("%")) return ipFromBytes(ipv6Bytes(text));
  throw new SyntaxError(`Cannot parse address "${text}"`);
}

/** True when `text` is an IPv4 or IPv6 address without a zone. */
export function isIpAddr(text: string): boolean {
  return isIPv4(text) || (isIPv6(text) && !text.includes("%"));
}

export function ipFamily(address: IpAddr): IpFamily {
  return address.includes(":") ? 6 : 4;
}

/** Address as an unsigned integer: compares as RFC 4271 compares addresses. */
export function ipBits(address: IpAddr): bigint {
  if (!address.includes(":")) return BigInt(ipv4Bits(address));
  return ipBytes(address).reduce((bits, octet) => (bits << 8n) | BigInt(octet), 0n);
}

/** An IPv4 address as an unsigned integer. */
export function ipv4Bits(address: IpAddr): number {
  let bits = 0;
  let octet = 0;
  for (let at = 0; at < address.length; at++) {
    const digit = address.charCodeAt(at) - 48;
    if (digit < 0) {
      bits = bits * 256 + octet;
      octet = 0;
    } else octet = octet * 10 + digit;
  }
  return bits * 256 + octet;
}

/** IPv4 address of an unsigned integer of 32 bits. */
export function ipv4FromBits(bits: number): IpAddr {
  return `${bits >>> 24}.${(bits >>> 16) & 255}.${(bits >>> 8) & 255}.${bits & 255}` as IpAddr;
}

/**
 * Address of an unsigned integer.
 *
 * @throws {RangeError} when `bits` does not fit the family.
 */
export function ipFromBits(bits: bigint, family: IpFamily): IpAddr {
  const length = addressBits[family] / 8;
  if (bits < 0n || bits >> BigInt(addressBits[family]) !== 0n) {
    throw new RangeError(`Cannot make an IPv${family} address of ${bits}`);
  }
  if (family === 4) return ipv4FromBits(Number(bits));
  const bytes = new Uint8Array(length);
  let rest = bits;
  for (let i = length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return ipFromBytes(bytes);
}

/** The 4 or 16 octets of an address, in network order. */
export function ipBytes(address: IpAddr): Uint8Array {
  return address.includes(":") ? ipv6Bytes(address) : Uint8Array.from(address.split("."), Number);
}

/**
 * Canonical address of 4 or 16 octets in network order.
 *
 * @throws {RangeError} when the length is neither 4 nor 16.
 */
export function ipFromBytes(bytes: Uint8Array): IpAddr {
  if (bytes.length === 4) return bytes.join(".") as IpAddr;
  if (bytes.length !== 16) throw new RangeError(`Cannot make an address of ${bytes.length} octets`);
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) {
    groups.push((((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)).toString(16));
  }
  return new SocketAddress({ address: groups.join(":"), family: "ipv6" }).address as IpAddr;
}

/** The address that lies `offset` addresses after `address` (offset may be negative). */
export function ipOffset(address: IpAddr, offset: number | bigint): IpAddr {
  return ipFromBits(ipBits(address) + BigInt(offset), ipFamily(address));
}

function ipv6Bytes(text: string): Uint8Array {
  const [head = "", tail] = text.split("::");
  const left = groupsOf(head);
  const right = tail === undefined ? [] : groupsOf(tail);
  const bytes = new Uint8Array(16);
  left.forEach((group, i) => {
    new DataView(bytes.buffer).setUint16(i * 2, group);
  });
  right.forEach((group, i) => {
    new DataView(bytes.buffer).setUint16((8 - right.length + i) * 2, group);
  });
  return bytes;
}

/** 16-bit groups of one side of "::". The last group may be dotted IPv4 (RFC 4291 2.2 form 3). */
function groupsOf(side: string): number[] {
  if (side === "") return [];
  return side.split(":").flatMap((group) => {
    if (!group.includes(".")) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split(".").map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}
