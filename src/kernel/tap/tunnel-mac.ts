import { createHash } from "node:crypto";
import { type IpAddr, ipBytes, ipFamily, ipFromBytes } from "../../lib/ip-addr.ts";
import { type MacAddr, macBytes, macFromBytes } from "../../lib/mac.ts";

/**
 * MAC addresses in the UDP tunnel name the node that they belong to: 02:85 and its IPv4 address, or, where
 * the tunnel's packets are IPv6, 06 and five octets of a hash of its IPv6 address. The kernel's own routes
 * and neighbors so tell where a packet goes.
 */
const prefixV4 = [0x02, 0x85] as const;
const prefixV6 = 0x06;

export function tunnelMac(node: IpAddr): MacAddr {
  const bytes = ipBytes(node);
  if (ipFamily(node) === 4) return macFromBytes(Uint8Array.of(...prefixV4, ...bytes));
  const hash = createHash("sha256").update(bytes).digest();
  return macFromBytes(Uint8Array.of(prefixV6, ...hash.subarray(0, 5)));
}

/** The IPv4 address of the node that a MAC address names; undefined: it names none by such an address. */
export function nodeOfMac(mac: MacAddr): IpAddr | undefined {
  const bytes = macBytes(mac);
  const isOurs = prefixV4.every((octet, at) => bytes[at] === octet);
  return isOurs ? ipFromBytes(bytes.subarray(2)) : undefined;
}
