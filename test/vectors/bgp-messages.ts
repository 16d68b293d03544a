import type { Message, PathAttributes } from "../../src/bgp/wire/message.ts";
import type { Asn } from "../../src/lib/asn.ts";
import type { IpAddr } from "../../src/lib/ip-addr.ts";
import { pack } from "../support/packed-prefixes.ts";

/** Octets and the value that they mean: decoding and encoding are checked against the same pair. */
export interface MessageVector {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly message: Message;
}

/** One announcement, its session, and the single UPDATE that carries it. */
export interface UpdateVector {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly session: { readonly fourOctetAs: boolean; readonly external: boolean };
  readonly attributes: PathAttributes;
  readonly nextHop: IpAddr;
  readonly prefixes: readonly string[];
}

/** Octets of hexadecimal text with any white space. */
export function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"));
}

/** Marker, length and type before a body in hexadecimal. */
export function withHeader(type: number, body: string): Uint8Array {
  const length = 19 + fromHex(body).length;
  const header = "ff".repeat(16) + length.toString(16).padStart(4, "0");
  return fromHex(header + type.toString(16).padStart(2, "0") + body);
}

const as = (value: number): Asn => value as Asn;
const ip = (text: string): IpAddr => text as IpAddr;

export const messageVectors: readonly MessageVector[] = [
  { name: "KEEPALIVE", bytes: withHeader(4, ""), message: { kind: "keepalive" } },
  {
    name: "OPEN without capabilities",
    bytes: withHeader(1, "04 fde8 00b4 0a000001 00"),
    message: {
      kind: "open",
      asn: as(65000),
      holdSeconds: 180,
      routerId: 0x0a000001,
      capabilities: [],
    },
  },
  {
    name: "OPEN with all capabilities and a 4-octet AS",
    bytes: withHeader(
      1,
      `04 5ba0 005a c0a80101 24 02 22
       01 04 0001 00 01   01 04 0002 00 01   02 00
       40 0a 8078 0001 01 80 0002 01 00   41 04 fffffff0   46 00`,
    ),
    message: {
      kind: "open",
      asn: as(4294967280),
      holdSeconds: 90,
      routerId: 0xc0a80101,
      capabilities: [
        { kind: "multiprotocol", afi: 1, safi: 1 },
        { kind: "multiprotocol", afi: 2, safi: 1 },
        { kind: "routeRefresh" },
        {
          kind: "gracefulRestart",
          restarting: true,
          notification: false,
          restartSeconds: 120,
          families: [
            { afi: 1, safi: 1, forwarding: true },
            { afi: 2, safi: 1, forwarding: false },
          ],
        },
        { kind: "fourOctetAs", asn: as(4294967280) },
        { kind: "enhancedRouteRefresh" },
      ],
    },
  },
  {
    name: "NOTIFICATION Cease/Administrative Shutdown with text",
    bytes: withHeader(3, "06 02 02 6f6b"),
    message: { kind: "notification", code: 6, subcode: 2, data: fromHex("026f6b") },
  },
  {
    name: "ROUTE-REFRESH for IPv6",
    bytes: withHeader(5, "0002 00 01"),
    message: { kind: "routeRefresh", afi: 2, safi: 1, subtype: 0 },
  },
  {
    name: "End-of-RIB for IPv4",
    bytes: withHeader(2, "0000 0000"),
    message: { kind: "update", withdrawn: [], announced: [], endOfRib: [4] },
  },
  {
    name: "End-of-RIB for IPv6",
    bytes: withHeader(2, "0000 0006 80 0f 03 0002 01"),
    message: { kind: "update", withdrawn: [], announced: [], endOfRib: [6] },
  },
  {
    name: "withdrawal of IPv4 prefixes of all kinds of length",
    bytes: withHeader(2, "000d 00 08 0a 1a 0a410040 20 0a410105 0000"),
    message: {
      kind: "update",
      withdrawn: [pack("0.0.0.0/0", "10.0.0.0/8", "10.65.0.64/26", "10.65.1.5/32")],
      announced: [],
      endOfRib: [],
    },
  },
  {
    name: "withdrawal of an IPv6 prefix",
    bytes: withHeader(2, "0000 0018 90 0f 0014 0002 01 7a fd0000000000000000000000000000c0"),
    message: { kind: "update", withdrawn: [pack("fd00::c0/122")], announced: [], endOfRib: [] },
  },
];

export const updateVectors: readonly UpdateVector[] = [
  {
    name: "iBGP, an IPv4 block",
    bytes: withHeader(
      2,
      `0000 001c
       40 01 01 02   40 02 00   40 03 04 0a000002   80 04 04 00000064   40 05 04 7fffffff
       1a 0a410080`,
    ),
    session: { fourOctetAs: true, external: false },
    attributes: { origin: 2, asPath: [], med: 100, localPref: 0x7fffffff },
    nextHop: ip("10.0.0.2"),
    prefixes: ["10.65.0.128/26"],
  },
  {
    name: "eBGP, 4-octet AS path, communities of all kinds",
    bytes: withHeader(
      2,
      `0000 004b
       40 01 01 00   40 02 0a 02 02 0000fde9 fa56ea00   40 03 04 c0000201   40 06 00
       c0 07 08 fa56ea00 0a000001   c0 08 08 fde80001 ffffff01
       c0 10 08 0002fde800000064   c0 20 0c 0000fde8 00000001 00000002
       18 c63364 00`,
    ),
    session: { fourOctetAs: true, external: true },
    attributes: {
      origin: 0,
      asPath: [{ kind: "sequence", asns: [as(65001), as(4200000000)] }],
      atomicAggregate: true,
      aggregator: { asn: as(4200000000), address: ip("10.0.0.1") },
      communities: [0xfde80001, 0xffffff01],
      extendedCommunities: [fromHex("0002fde800000064")],
      largeCommunities: [[65000, 1, 2]],
    },
    nextHop: ip("192.0.2.1"),
    prefixes: ["198.51.100.0/24", "0.0.0.0/0"],
  },
  {
    name: "a peer without 4-octet ASes: AS_TRANS, AS4_PATH and AS4_AGGREGATOR",
    bytes: withHeader(
      2,
      `0000 0035
       40 01 01 00   40 02 06 02 02 fde9 5ba0   40 03 04 c0000201   c0 07 06 5ba0 0a000001
       c0 11 0a 02 02 0000fde9 fa56ea00   c0 12 08 fa56ea00 0a000001
       18 c63364`,
    ),
    session: { fourOctetAs: false, external: true },
    attributes: {
      origin: 0,
      asPath: [{ kind: "sequence", asns: [as(65001), as(4200000000)] }],
      aggregator: { asn: as(4200000000), address: ip("10.0.0.1") },
    },
    nextHop: ip("192.0.2.1"),
    prefixes: ["198.51.100.0/24"],
  },
  {
    name: "a reflected route",
    bytes: withHeader(
      2,
      `0000 0027
       40 01 01 00   40 02 00   40 03 04 0a000003   40 05 04 00000064
       80 09 04 0a000003   80 0a 08 0a000001 0a000002
       1a 0a410000`,
    ),
    session: { fourOctetAs: true, external: false },
    attributes: {
      origin: 0,
      asPath: [],
      localPref: 100,
      originatorId: 0x0a000003,
      clusterList: [0x0a000001, 0x0a000002],
    },
    nextHop: ip("10.0.0.3"),
    prefixes: ["10.65.0.0/26"],
  },
  {
    name: "IPv6 in MP_REACH_NLRI",
    bytes: withHeader(
      2,
      `0000 0038
       90 0e 0026 0002 01 10 fd000000000000000000000000000002 00
                  7a fd0000000000000000000000000000c0
       40 01 01 00   40 02 00   40 05 04 00000064`,
    ),
    session: { fourOctetAs: true, external: false },
    attributes: { origin: 0, asPath: [], localPref: 100 },
    nextHop: ip("fd00::2"),
    prefixes: ["fd00::c0/122"],
  },
  {
    name: "an attribute that we do not know",
    bytes: withHeader(
      2,
      `0000 0013
       40 01 01 00   40 02 00   40 03 04 0a000003   e0 63 02 beef
       08 0a`,
    ),
    session: { fourOctetAs: true, external: false },
    attributes: {
      origin: 0,
      asPath: [],
      unknown: [{ flags: 0xe0, code: 0x63, value: fromHex("beef") }],
    },
    nextHop: ip("10.0.0.3"),
    prefixes: ["10.0.0.0/8"],
  },
];
