import type { IpAddr } from "../lib/ip-addr.ts";

/** The first packet of a connection, as policy sees it. */
export interface Packet {
  readonly source: IpAddr;
  readonly destination: IpAddr;
  /** IANA number. */
  readonly protocol: number;
  /** Absent: some high port, which no rule names. */
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly icmp?: { readonly type: number; readonly code: number };
}

/** An echo request: type 8, or 128 of ICMPv6. */
export function pingPacket(source: IpAddr, destination: IpAddr): Packet {
  const v6 = source.includes(":");
  const icmp = { type: v6 ? 128 : 8, code: 0 };
  return { source, destination, protocol: v6 ? 58 : 1, icmp };
}
