import * as fc from "fast-check";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import type { Packet } from "../../../src/policy/packet.ts";
import { often, outside, pods, v4Of, v6Of } from "./pools.ts";

/** Mostly pods; the world and the nodes, too. */
const ends: Readonly<Record<4 | 6, fc.Arbitrary<string>>> = {
  4: fc.constantFrom(
    ...pods.flatMap((index) => often(v4Of(index), 3)),
    ...outside.filter((address) => !address.includes(":")),
    "192.168.0.1",
    "192.168.0.2",
  ),
  6: fc.constantFrom(
    ...pods.flatMap((index) => often(v6Of(index), 3)),
    ...outside.filter((address) => address.includes(":")),
  ),
};

function packet(family: 4 | 6): fc.Arbitrary<Packet> {
  return fc
    .record({
      source: ends[family],
      destination: ends[family],
      protocol: fc.constantFrom(
        ...often("tcp", 12),
        ...often("udp", 3),
        ...often("icmp", 3),
        "sctp",
        "ipip",
      ),
      sourcePort: fc.constantFrom(...often(40_000, 2), 80, 5353, 2379),
      destinationPort: fc.constantFrom(
        ...often(80, 4),
        ...often(8080, 4),
        443,
        5353,
        4789,
        7010,
        2379,
      ),
      icmp: fc.constantFrom({ type: 8, code: 0 }, { type: 3, code: 1 }, { type: 128, code: 0 }),
    })
    .filter(({ source, destination }) => source !== destination)
    .map(({ source, destination, protocol, sourcePort, destinationPort, icmp: message }) => {
      const both = { source: parseIpAddr(source), destination: parseIpAddr(destination) };
      if (protocol === "icmp") return { ...both, protocol: family === 6 ? 58 : 1, icmp: message };
      if (protocol === "ipip") return { ...both, protocol: 4 };
      const number = { tcp: 6, udp: 17, sctp: 132 }[protocol] ?? 6;
      return { ...both, protocol: number, sourcePort, destinationPort };
    });
}

/** Packets of one case are of one family: its rules alone are rendered. */
export function packetsOf(count: number): fc.Arbitrary<Packet[]> {
  return fc.oneof(
    { weight: 4, arbitrary: packetsOfFamily(4, count) },
    { weight: 1, arbitrary: packetsOfFamily(6, count) },
  );
}

/** As many of each family. */
export function packetsOfBoth(count: number): fc.Arbitrary<Packet[]> {
  return fc
    .tuple(packetsOfFamily(4, count), packetsOfFamily(6, count))
    .map((families) => families.flat());
}

function packetsOfFamily(family: 4 | 6, count: number): fc.Arbitrary<Packet[]> {
  return fc.array(packet(family), { minLength: 1, maxLength: count, size: "max" });
}
