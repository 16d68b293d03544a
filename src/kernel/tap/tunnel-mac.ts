import { type IpAddr, ipBytes, ipFamily } from "../../lib/ip-addr.ts";
import { type MacAddr, macBytes, macFromBytes } from "../../lib/mac.ts";

/**
 * MAC addresses in the UDP tunnel name the node that they belong to: 02:85 and its IPv4 address. The
 * kernel's own routes and neighbors so tell where a packet goes.
 */
export const tunnelMacPrefix: readonly [number, number] = [0x02, 0x85];

/** @throws {RangeError} for an IPv6 address. */
export function tunnelMac(node: IpAddr): MacAddr {
  if (ipFamily(node) !== 4) throw new RangeError(`Cannot put ${node} into a MAC address`);
  return macFromBytes(Uint8Array.of(...tunnelMacPrefix, ...ipBytes(node)));
}

/** The IPv4 address, as a number, of the node that a MAC address names; undefined: it names none. */
export function nodeOfMac(mac: MacAddr): number | undefined {
  const bytes = Buffer.from(macBytes(mac));
  const isOurs = bytes[0] === tunnelMacPrefix[0] && bytes[1] === tunnelMacPrefix[1];
  return isOurs ? bytes.readUInt32BE(2) : undefined;
}
