import { isIPv4, isIPv6 } from "node:net";
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
  const octets = new DataView(ipv6Bytes(address).buffer);
  return (octets.getBigUint64(0) << 64n) | octets.getBigUint64(8);
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
  if (bits < 0n || bits >> BigInt(addressBits[family]) !== 0n) {
    throw new RangeError(`Cannot make an IPv${family} address of ${bits}`);
  }
  if (family === 4) return ipv4FromBits(Number(bits));
  const groups: number[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(Number((bits >> shift) & 0xffffn));
  return textOfGroups(groups);
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
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0));
  return textOfGroups(groups);
}

/** The address that lies `offset` addresses after `address` (offset may be negative). */
export function ipOffset(address: IpAddr, offset: number | bigint): IpAddr {
  return ipFromBits(ipBits(address) + BigInt(offset), ipFamily(address));
}

/** RFC 5952: the first of the longest runs of zeros is "::"; section 5 for IPv4 in the last 32 bits. */
function textOfGroups(groups: readonly number[]): IpAddr {
  const { start, length } = longestZeros(groups);
  if (length < 2) return groups.map(hexadecimal).join(":") as IpAddr;
  const head = groups.slice(0, start).map(hexadecimal).join(":");
  if (start === 0 && endsInIpv4(groups, length)) {
    const mapped = length === 5 ? "ffff:" : "";
    return `::${mapped}${ipv4FromBits((((groups[6] ?? 0) << 16) | (groups[7] ?? 0)) >>> 0)}` as IpAddr;
  }
  return `${head}::${groups
    .slice(start + length)
    .map(hexadecimal)
    .join(":")}` as IpAddr;
}

const hexadecimal = (group: number) => group.toString(16);

function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let longest = { start: 0, length: 0 };
  let start = 0;
  groups.forEach((group, at) => {
    if (group !== 0) start = at + 1;
    else if (at + 1 - start > longest.length) longest = { start, length: at + 1 - start };
  });
  return longest;
}

/** IPv4-mapped and IPv4-compatible addresses (RFC 4291 2.5.5), of so many leading zero groups. */
function endsInIpv4(groups: readonly number[], zeros: number): boolean {
  return zeros === 6 || (zeros === 5 && groups[5] === 0xffff);
}

function ipv6Bytes(text: string): Uint8Array<ArrayBuffer> {
  const [head = "", tail] = text.split("::");
  const bytes = new Uint8Array(16);
  putGroups(bytes, 0, groupsOf(head));
  if (tail !== undefined) {
    const groups = groupsOf(tail);
    putGroups(bytes, 8 - groups.length, groups);
  }
  return bytes;
}

function putGroups(bytes: Uint8Array, at: number, groups: readonly number[]): void {
  groups.forEach((group, i) => {
    bytes[(at + i) * 2] = group >>> 8;
    bytes[(at + i) * 2 + 1] = group & 255;
  });
}

/** 16-bit groups of one side of "::". The last group may be dotted IPv4 (RFC 4291 2.2 form 3). */
function groupsOf(side: string): number[] {
  if (side === "") return [];
  const groups: number[] = [];
  for (const group of side.split(":")) {
    if (group.includes(".")) {
      const bits = ipv4Bits(group as IpAddr);
      groups.push(bits >>> 16, bits & 0xffff);
    } else groups.push(Number.parseInt(group, 16));
  }
  return groups;
}
