import type { IpFamily } from "../../lib/ip-addr.ts";

/** The only SAFI that is spoken (RFC 4760 section 6). */
export const safiUnicast = 1;

/** The address family identifier of IANA: 1 IPv4, 2 IPv6. */
export function afiOf(family: IpFamily): number {
  return family === 4 ? 1 : 2;
}

/** Undefined for anything but IPv4 and IPv6 unicast. */
export function familyOf(afi: number, safi: number): IpFamily | undefined {
  if (safi !== safiUnicast) return undefined;
  return afi === 1 ? 4 : afi === 2 ? 6 : undefined;
}
