import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { MessageRecords } from "../../../../src/bgp/mrt/message-records.ts";
import {
  encodeMessageRecord,
  encodePeerIndexTable,
  encodeRib,
  encodeStateChange,
  type MrtSession,
  mrtState,
} from "../../../../src/bgp/mrt/mrt-record.ts";
import { tableDump } from "../../../../src/bgp/mrt/table-dump.ts";
import type { Negotiated, PeerConfig } from "../../../../src/bgp/peer/peer.ts";
import { encodeWithdrawals } from "../../../../src/bgp/wire/encode-updates.ts";
import { encodeKeepalive } from "../../../../src/bgp/wire/route-refresh.ts";
import { type IpAddr, parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";
import { toHex } from "../../../support/hex.ts";
import { pack } from "../../../support/packed-prefixes.ts";
import { FedSpeaker } from "../bmp/fed-speaker.ts";

const date = new Date("2026-01-02T03:04:05.678Z");
const time = "695735a5";
const keepalive = `${"ff".repeat(16)}001304`;
const origin = "40010100";

const session: MrtSession = {
  peerAs: 65_001,
  localAs: 4_200_000_000,
  peerAddress: parseIpAddr("10.0.0.2"),
  localAddress: parseIpAddr("10.0.0.1"),
  fourOctetAs: true,
};

/** Hexadecimal without its white space. */
function plain(hex: string): string {
  return hex.replaceAll(/\s/g, "");
}

suite("MRT records", () => {
  test("the table of peers has their ids, addresses and ASes (section 4.3.1)", () => {
    const peers = [
      { routerId: 0x0a000002, address: parseIpAddr("10.0.0.2"), asn: 65_001 },
      { routerId: 7, address: parseIpAddr("fd00::2"), asn: 4_200_000_000 },
    ];
    assert.equal(
      toHex(encodePeerIndexTable(date, { collectorId: 0x0a000001, peers })),
      plain(`${time} 000d 0001 0000002e
        0a000001 0000 0002
        02 0a000002 0a000002 0000fde9
        03 00000007 fd000000000000000000000000000002 fa56ea00`),
    );
  });

  test("an IPv4 route has its NEXT_HOP among the attributes (section 4.3.2)", () => {
    const entry = {
      peerIndex: 1,
      attributes: { origin: 0, asPath: [] } as const,
      nextHop: parseIpAddr("10.0.0.2"),
    };
    const route = encodeRib(date, parsePrefix("10.1.2.0/23"), { sequence: 5, entries: [entry] });
    assert.equal(
      toHex(route),
      plain(`${time} 000d 0002 00000020
        00000005 17 0a0102 0001 0001 ${time} 000e ${origin} 400200 4003040a000002`),
    );
  });

  test("an IPv6 route has a short MP_REACH_NLRI (section 4.3.4), and with ADD-PATH its identifier", () => {
    const entry = {
      peerIndex: 2,
      attributes: { origin: 0, asPath: [] } as const,
      nextHop: parseIpAddr("fd00::2"),
    };
    const entries = [entry];
    const mpReach = "800e11 10 fd000000000000000000000000000002";
    assert.equal(
      toHex(encodeRib(date, parsePrefix("fd00::/8"), { sequence: 0, entries })),
      plain(`${time} 000d 0004 0000002b
        00000000 08 fd 0001 0002 ${time} 001b ${origin} 400200 ${mpReach}`),
    );
    const withPathId = { sequence: 0, entries: [{ ...entry, pathId: 9 }] };
    assert.equal(
      toHex(encodeRib(date, parsePrefix("fd00::/8"), withPathId)),
      plain(`${time} 000d 000a 0000002f
        00000000 08 fd 0001 0002 ${time} 00000009 001b ${origin} 400200 ${mpReach}`),
    );
  });

  const rows = [
    ["received", true, false, "0004"],
    ["sent", true, false, "0007"],
    ["received", true, true, "0009"],
    ["sent", true, true, "000b"],
    ["received", false, false, "0001"],
    ["sent", false, false, "0006"],
    ["received", false, true, "0008"],
    ["sent", false, true, "000a"],
  ] as const;
  for (const [direction, fourOctetAs, addPath, subtype] of rows) {
    test(`a message ${direction} with fourOctetAs ${fourOctetAs} and addPath ${addPath} has subtype ${subtype}`, () => {
      const seen = { direction, bytes: encodeKeepalive(), addPath };
      const ases = fourOctetAs ? "0000fde9 fa56ea00" : "fde9 5ba0";
      const length = fourOctetAs ? "00000027" : "00000023";
      assert.equal(
        toHex(encodeMessageRecord(date, { ...session, fourOctetAs }, seen)),
        plain(`${time} 0010 ${subtype} ${length} ${ases} 0000 0001 0a000002 0a000001 ${keepalive}`),
      );
    });
  }

  test("a change of state (section 4.4.1)", () => {
    const states = { from: mrtState.openConfirm, to: mrtState.established };
    assert.equal(
      toHex(encodeStateChange(date, session, states)),
      plain(`${time} 0010 0005 00000018
        0000fde9 fa56ea00 0000 0001 0a000002 0a000001 0005 0006`),
    );
  });
});

suite("MessageRecords", () => {
  const peer = {
    name: "a",
    address: parseIpAddr("10.0.0.2"),
    remoteAs: 65_001,
    localAs: 64_512,
  } as PeerConfig;
  const negotiated = {
    fourOctetAs: true,
    peerAs: 65_001,
    peerAddress: peer.address,
    localAddress: parseIpAddr("10.0.0.1"),
    addPath: { receive: [4], send: [] },
  } as unknown as Negotiated;
  const connection = { localAddress: negotiated.localAddress, remoteAddress: peer.address };
  const subtypes = (records: readonly Uint8Array[]) => records.map((record) => record[7]);

  test("each message is a record; only UPDATEs of a session with ADD-PATH are marked so", () => {
    const records = new MessageRecords();
    records.ofEvent({ kind: "established", name: "a", negotiated }, peer, date);
    const [update = encodeKeepalive()] = encodeWithdrawals(pack("10.0.0.0/8"));
    const bytes = Uint8Array.from([...update, ...encodeKeepalive()]);
    const seen = { peer, connection, bytes };
    assert.deepEqual(
      subtypes(records.ofMessages({ ...seen, direction: "received" }, date)),
      [9, 4],
    );
    assert.deepEqual(subtypes(records.ofMessages({ ...seen, direction: "sent" }, date)), [7, 7]);
  });

  test("a socket that has closed has no addresses: those of the configuration stand in", () => {
    const gone = { localAddress: "::" as IpAddr, remoteAddress: "::" as IpAddr };
    const seen = { direction: "sent", peer, connection: gone, bytes: encodeKeepalive() } as const;
    const [record = new Uint8Array(0)] = new MessageRecords().ofMessages(seen, date);
    assert.equal(
      toHex(record).slice(24, 64),
      plain("0000fde9 0000fc00 0000 0001 0a000002 00000000"),
    );
  });

  test("the end of a session is told once", () => {
    const records = new MessageRecords();
    const down = { kind: "down", name: "a", reason: "", graceful: false } as const;
    records.ofEvent({ kind: "established", name: "a", negotiated }, peer, date);
    assert.equal(records.ofEvent(down, peer, date).length, 1);
    assert.equal(records.ofEvent(down, peer, date).length, 0);
  });
});

suite("tableDump", () => {
  test("has every path of every peer, and the peers", () => {
    const [a, b] = ["192.0.2.2", "192.0.2.3"];
    const fed = new FedSpeaker([
      { address: a, asn: 65_001 },
      { address: b, asn: 65_002 },
    ]);
    for (const peer of [a, b]) {
      fed.up(peer);
      fed.announce(peer, "10.0.0.0/8 10.1.0.0/16");
    }
    fed.announce(a, "fd00::/8", "fd00::2");
    const records = [...tableDump(fed.speaker, date)].filter((record) => record !== undefined);
    const kinds = records.map((record) => [record[5], record[7]].join());
    assert.deepEqual(kinds, ["13,1", "13,2", "13,2", "13,4"]);
    // Number of peers, with ourselves; number of entries of the first route.
    assert.equal(records[0]?.[19], 3);
    assert.equal(toHex(records[1]?.subarray(12, 20) ?? new Uint8Array(0)), "00000000080a0002");
  });
});
