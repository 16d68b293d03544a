import type { Protocol } from "../api/resources/rule.ts";

/** Protocols by the names that resources may use, lower case (facts 2.5; IANA). */
const numbers: Readonly<Record<string, number>> = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  icmpv6: 58,
  sctp: 132,
  udplite: 136,
};

/** The number of a protocol, or undefined when there is none of this name. */
export function protocolNumber(protocol: Protocol): number | undefined {
  if (typeof protocol === "number") return protocol;
  if (/^\d+$/.test(protocol)) return Number(protocol);
  return numbers[protocol.toLowerCase()];
}

/** "tcp", or the number of one without a name. */
export function protocolName(number: number): string {
  return Object.entries(numbers).find(([, known]) => known === number)?.[0] ?? String(number);
}

/** Protocols of which packets have ports: TCP, UDP, DCCP, SCTP, UDPLite. */
export function hasPorts(number: number): boolean {
  return [6, 17, 33, 132, 136].includes(number);
}
