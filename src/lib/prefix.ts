import type { Brand } from "./brand.ts";
import {
  addressBits,
  type IpAddr,
  type IpFamily,
  ipBits,
  ipBytes,
  ipFamily,
  ipFromBytes,
  ipOffset,
  ipv4Bits,
  ipv4FromBits,
  parseIpAddr,
} from "./ip-addr.ts";

/** Canonical prefix with host bits zero: "10.65.0.0/26". Safe as a Map key. */
export type Prefix = Brand<string, "Prefix">;

/** An address with the length of its network, host bits kept: "192.168.1.11/24". */
export interface InterfaceAddress {
  readonly address: IpAddr;
  readonly length: number;
}

/**
 * Parses a prefix. Host bits must be zero.
 *
 * @throws {SyntaxError} when `text` is no prefix, its length is out of range, or host bits are set.
 */
export function parsePrefix(text: string): Prefix {
  const { address, length } = parseInterfaceAddress(text);
  const prefix = prefixOf(address, length);
  if (prefixAddress(prefix) !== address) {
    throw new SyntaxError(
      `Cannot parse prefix "${text}": host bits are set, did you mean ${prefix}`,
    );
  }
  return prefix;
}

/**
 * Parses "address/length" and keeps the host bits. A bare address has the full length.
 *
 * @throws {SyntaxError} when `text` is malformed.
 */
export function parseInterfaceAddress(text: string): InterfaceAddress {
  const slash = text.indexOf("/");
  const address = parseIpAddr(slash < 0 ? text : text.slice(0, slash));
  const bits = addressBits[ipFamily(address)];
  if (slash < 0) return { address, length: bits };
  const lengthText = text.slice(slash + 1);
  const length = /^\d{1,3}$/.test(lengthText) ? Number(lengthText) : Number.NaN;
  if (!(length <= bits)) {
    throw new SyntaxError(`Cannot parse prefix "${text}": its length must be 0 to ${bits}`);
  }
  return { address, length };
}

/** The prefix of `length` bits that holds `address`. */
export function prefixOf(address: IpAddr, length: number): Prefix {
  if (ipFamily(address) === 4) {
    if (length === 32) return `${address}/32` as Prefix;
    const mask = length === 0 ? 0 : -1 << (32 - length);
    return `${ipv4FromBits(ipv4Bits(address) & mask)}/${length}` as Prefix;
  }
  const octets = ipBytes(address);
  const whole = length >>> 3;
  const mask = 0xff00 >>> (length & 7);
  octets.forEach((octet, at) => {
    if (at === whole) octets[at] = octet & mask;
    else if (at > whole) octets[at] = 0;
  });
  return `${ipFromBytes(octets)}/${length}` as Prefix;
}

/** The /32 or /128 of one address. */
export function hostPrefix(address: IpAddr): Prefix {
  return `${address}/${addressBits[ipFamily(address)]}` as Prefix;
}

export function prefixAddress(prefix: Prefix): IpAddr {
  return prefix.slice(0, prefix.indexOf("/")) as IpAddr;
}

export function prefixLength(prefix: Prefix): number {
  return Number(prefix.slice(prefix.indexOf("/") + 1));
}

export function prefixFamily(prefix: Prefix): IpFamily {
  return prefix.includes(":") ? 6 : 4;
}

/** Number of addresses, as a bigint because a /64 has 2^64. */
export function prefixSize(prefix: Prefix): bigint {
  return 1n << BigInt(addressBits[prefixFamily(prefix)] - prefixLength(prefix));
}

/** True for a /32 or a /128. */
export function isHostPrefix(prefix: Prefix): boolean {
  return prefixLength(prefix) === addressBits[prefixFamily(prefix)];
}

/** The `index`-th address of the prefix, counted from its first. Not checked against its size. */
export function nthAddress(prefix: Prefix, index: number | bigint): IpAddr {
  return ipOffset(prefixAddress(prefix), index);
}

export function prefixHasAddress(prefix: Prefix, address: IpAddr): boolean {
  return (
    prefixFamily(prefix) === ipFamily(address) && prefixOf(address, prefixLength(prefix)) === prefix
  );
}

/** True when `inner` is `outer` or lies inside it. */
export function prefixContains(outer: Prefix, inner: Prefix): boolean {
  return (
    prefixLength(outer) <= prefixLength(inner) && prefixHasAddress(outer, prefixAddress(inner))
  );
}

export function prefixesOverlap(a: Prefix, b: Prefix): boolean {
  return prefixContains(a, b) || prefixContains(b, a);
}

/** Orders by family, then address as a number, then length: a supernet before its subnets. */
export function comparePrefixes(a: Prefix, b: Prefix): number {
  const family = prefixFamily(a) - prefixFamily(b);
  if (family !== 0) return family;
  const [left, right] = [ipBits(prefixAddress(a)), ipBits(prefixAddress(b))];
  if (left !== right) return left < right ? -1 : 1;
  return prefixLength(a) - prefixLength(b);
}
