import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { PathAttributes } from "../../../../src/bgp/wire/message.ts";
import { decodeUpdate } from "../../../../src/bgp/wire/update.ts";
import type { Asn } from "../../../../src/lib/asn.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";
import { fromHex } from "../../../support/hex.ts";
import { unpack } from "../../../support/packed-prefixes.ts";

const origin = "40 01 01 00";
const emptyPath = "40 02 00";
const asPath = "40 02 06 02 01 0000fde9";
const nextHop = "40 03 04 0a000001";
const block = "18 0a0102";
const mandatory = `${origin} ${asPath} ${nextHop}`;
const reach6 = "90 0e 001e 0002 01 10 fd000000000000000000000000000001 00 40 fd00000000000001";

type Outcome = "announced" | "withdrawn" | `reset 3/${number}`;

/** One row a rule: RFC and section, attributes, prefixes, what must become of the message. */
const rows: readonly {
  readonly rule: string;
  readonly attributes: string;
  readonly nlri?: string;
  readonly external?: boolean;
  readonly fourOctetAs?: boolean;
  readonly outcome: Outcome;
  /** Names of attributes that must be gone, though the route stays. */
  readonly without?: keyof PathAttributes;
  /** Attributes that must be there. */
  readonly kept?: Partial<PathAttributes>;
}[] = [
  { rule: "a good UPDATE", attributes: mandatory, outcome: "announced" },
  {
    rule: "7606 3 c: Optional flag of ORIGIN",
    attributes: `c0 01 01 00 ${asPath} ${nextHop}`,
    outcome: "withdrawn",
  },
  {
    rule: "7606 3 c: Transitive flag of MED",
    attributes: `${mandatory} c0 04 04 00000001`,
    outcome: "withdrawn",
  },
  {
    rule: "7606 3 c: Partial flag and unused bits are no error",
    attributes: `6f 01 01 00 ${asPath} ${nextHop}`,
    outcome: "announced",
  },
  { rule: "7606 3 d: ORIGIN missing", attributes: `${asPath} ${nextHop}`, outcome: "withdrawn" },
  { rule: "7606 3 d: AS_PATH missing", attributes: `${origin} ${nextHop}`, outcome: "withdrawn" },
  { rule: "7606 3 d: NEXT_HOP missing", attributes: `${origin} ${asPath}`, outcome: "withdrawn" },
  {
    rule: "7606 3 d: NEXT_HOP is not needed for MP_REACH_NLRI",
    attributes: `${reach6} ${origin} ${asPath}`,
    nlri: "",
    outcome: "announced",
  },
  {
    rule: "7606 3 g: the second ORIGIN is ignored",
    attributes: `${mandatory} 40 01 01 09`,
    outcome: "announced",
  },
  {
    rule: "7606 3 g: MP_REACH_NLRI twice",
    attributes: `${reach6} ${reach6} ${mandatory}`,
    outcome: "reset 3/1",
  },
  {
    rule: "7606 3 g: MP_UNREACH_NLRI twice",
    attributes: `80 0f 03 0002 01 80 0f 03 0002 01 ${mandatory}`,
    outcome: "reset 3/1",
  },
  {
    rule: "7606 3 g: the second of an unknown attribute is ignored",
    attributes: `${mandatory} c0 63 01 07 c0 63 01 08`,
    outcome: "announced",
    kept: { unknown: [{ flags: 0xc0, code: 0x63, value: Uint8Array.of(7) }] },
  },
  {
    rule: "7606 3 h: what is behind a malformed attribute is still read",
    attributes: `${mandatory} c0 07 06 fde9 0a000001 80 04 04 00000007`,
    outcome: "announced",
    without: "aggregator",
    kept: { med: 7 },
  },
  {
    rule: "7606 4: an attribute runs past the attributes",
    attributes: `${mandatory} 80 04 09 00000001`,
    outcome: "withdrawn",
  },
  {
    rule: "7606 4: two octets where an attribute begins",
    attributes: `${mandatory} 80 04`,
    outcome: "withdrawn",
  },
  {
    rule: "7606 4: three octets of an extended attribute",
    attributes: `${mandatory} 90 04 00`,
    outcome: "withdrawn",
  },
  {
    rule: "7606 5.2: an error but no prefix to withdraw",
    attributes: "40 01 01 09",
    nlri: "",
    outcome: "reset 3/1",
  },
  {
    rule: "7606 5.2: flags of MP_UNREACH_NLRI, which is alone",
    attributes: "c0 0f 0c 0002 01 40 fd00000000000001",
    nlri: "",
    outcome: "withdrawn",
  },
  {
    rule: "7606 5.3: length of 33 bits",
    attributes: mandatory,
    nlri: "21 0a00000000",
    outcome: "reset 3/10",
  },
  {
    rule: "7606 5.3: a prefix is cut",
    attributes: mandatory,
    nlri: "18 0a01",
    outcome: "reset 3/10",
  },
  {
    rule: "7606 7.1: ORIGIN 3",
    attributes: `40 01 01 03 ${asPath} ${nextHop}`,
    outcome: "withdrawn",
  },
  {
    rule: "7606 7.1: ORIGIN of two octets",
    attributes: `40 01 02 0000 ${asPath} ${nextHop}`,
    outcome: "withdrawn",
  },
  {
    rule: "7606 7.2: unknown segment type",
    attributes: `${origin} 40 02 06 05 01 0000fde9 ${nextHop}`,
    outcome: "withdrawn",
  },
  {
    rule: "7606 7.2: segment overrun",
    attributes: `${origin} 40 02 06 02 02 0000fde9 ${nextHop}`,
    outcome: "withdrawn",
  },
  {
    rule: "7606 7.2: segment underrun",
    attributes: `${origin} 40 02 07 02 01 0000fde9 02 ${nextHop}`,
    outcome: "withdrawn",
  },
  {
    rule: "7606 7.2: segment without an AS",
    attributes: `${origin} 40 02 02 02 00 ${nextHop}`,
    outcome: "withdrawn",
  },
  {
    rule: "7607 2: AS 0 in AS_PATH",
    attributes: `${origin} 40 02 06 02 01 00000000 ${nextHop}`,
    outcome: "withdrawn",
  },
  {
    rule: "5065 5: confederation from another AS",
    attributes: `${origin} 40 02 06 03 01 0000fde9 ${nextHop}`,
    external: true,
    outcome: "withdrawn",
  },
  {
    rule: "an empty AS_PATH is fine",
    attributes: `${origin} ${emptyPath} ${nextHop}`,
    outcome: "announced",
  },
  {
    rule: "7606 7.3: NEXT_HOP of five octets",
    attributes: `${origin} ${asPath} 40 03 05 0a00000100`,
    outcome: "withdrawn",
  },
  {
    rule: "4271 6.3: NEXT_HOP 0.0.0.0",
    attributes: `${origin} ${asPath} 40 03 04 00000000`,
    outcome: "withdrawn",
  },
  {
    rule: "4271 6.3: NEXT_HOP is multicast",
    attributes: `${origin} ${asPath} 40 03 04 e0000001`,
    outcome: "withdrawn",
  },
  {
    rule: "7606 7.4: MED of three octets",
    attributes: `${mandatory} 80 04 03 000001`,
    outcome: "withdrawn",
  },
  {
    rule: "7606 7.5: LOCAL_PREF of three octets, internal",
    attributes: `${mandatory} 40 05 03 000001`,
    outcome: "withdrawn",
  },
  {
    rule: "7606 7.5: LOCAL_PREF from another AS",
    attributes: `${mandatory} 40 05 03 000001`,
    external: true,
    outcome: "announced",
    without: "localPref",
  },
  {
    rule: "7606 7.6: ATOMIC_AGGREGATE with a value",
    attributes: `${mandatory} 40 06 01 00`,
    outcome: "announced",
    without: "atomicAggregate",
  },
  {
    rule: "7606 7.7: AGGREGATOR of six octets",
    attributes: `${mandatory} c0 07 06 fde9 0a000001`,
    outcome: "announced",
    without: "aggregator",
  },
  {
    rule: "7607 2: AS 0 in AGGREGATOR",
    attributes: `${mandatory} c0 07 08 00000000 0a000001`,
    outcome: "announced",
    without: "aggregator",
  },
  {
    rule: "7606 3 c: Transitive flag of AGGREGATOR",
    attributes: `${mandatory} 80 07 08 0000fde9 0a000001`,
    outcome: "withdrawn",
  },
  {
    rule: "7606 7.8: COMMUNITIES of five octets",
    attributes: `${mandatory} c0 08 05 0000000000`,
    outcome: "withdrawn",
  },
  {
    rule: "7606 7.8: COMMUNITIES of none",
    attributes: `${mandatory} c0 08 00`,
    outcome: "withdrawn",
  },
  {
    rule: "7606 7.9: ORIGINATOR_ID of three octets, internal",
    attributes: `${mandatory} 80 09 03 000001`,
    outcome: "withdrawn",
  },
  {
    rule: "7606 7.9: ORIGINATOR_ID from another AS",
    attributes: `${mandatory} 80 09 04 00000001`,
    external: true,
    outcome: "announced",
    without: "originatorId",
  },
  {
    rule: "7606 7.10: CLUSTER_LIST of none, internal",
    attributes: `${mandatory} 80 0a 00`,
    outcome: "withdrawn",
  },
  {
    rule: "7606 7.10: CLUSTER_LIST from another AS",
    attributes: `${mandatory} 80 0a 04 00000001`,
    external: true,
    outcome: "announced",
    without: "clusterList",
  },
  {
    rule: "7606 7.11: next hop of 8 octets",
    attributes: "80 0e 0d 0002 01 08 fd00000000000001 00",
    nlri: "",
    outcome: "reset 3/9",
  },
  {
    rule: "7606 5.3: MP_REACH_NLRI with a length of 129 bits",
    attributes: `80 0e 16 0002 01 10 fd000000000000000000000000000001 00 81`,
    nlri: "",
    outcome: "reset 3/9",
  },
  {
    rule: "MP_REACH_NLRI with next hop ::",
    attributes: `80 0e 17 0002 01 10 00000000000000000000000000000000 00 08 fd ${origin} ${asPath}`,
    nlri: "",
    outcome: "withdrawn",
  },
  {
    rule: "7606 7.12: MP_UNREACH_NLRI of two octets",
    attributes: "80 0f 02 0002",
    nlri: "",
    outcome: "reset 3/9",
  },
  {
    rule: "7606 7.14: EXTENDED_COMMUNITIES of seven octets",
    attributes: `${mandatory} c0 10 07 00000000000000`,
    outcome: "withdrawn",
  },
  {
    rule: "8092 5: LARGE_COMMUNITY of eleven octets",
    attributes: `${mandatory} c0 20 0b 0000000000000000000000`,
    outcome: "withdrawn",
  },
  {
    rule: "6793 6: malformed AS4_PATH",
    attributes: `${origin} 40 02 04 02 01 fde9 ${nextHop} c0 11 02 02 00`,
    fourOctetAs: false,
    outcome: "announced",
  },
  {
    rule: "6793 6: AS4_PATH with AS 0",
    attributes: `${origin} 40 02 04 02 01 5ba0 ${nextHop} c0 11 06 02 01 00000000`,
    fourOctetAs: false,
    outcome: "announced",
    kept: { asPath: [{ kind: "sequence", asns: [23456 as Asn] }] },
  },
  {
    rule: "6793 6: malformed AS4_AGGREGATOR",
    attributes: `${origin} 40 02 04 02 01 fde9 ${nextHop} c0 07 06 5ba0 0a000001 c0 12 04 0a000001`,
    fourOctetAs: false,
    outcome: "announced",
    kept: { aggregator: { asn: 23456 as Asn, address: "10.0.0.1" as IpAddr } },
  },
  {
    rule: "6793 4.1: AS4_PATH of a peer with 4-octet ASes is dropped",
    attributes: `${mandatory} c0 11 06 02 01 00011170 c0 12 08 00011170 0a000001`,
    outcome: "announced",
    kept: { asPath: [{ kind: "sequence", asns: [65001 as Asn] }] },
    without: "unknown",
  },
  {
    rule: "6793 4.2.3: AS4_* do not count when AGGREGATOR is not AS_TRANS",
    attributes: `${origin} 40 02 04 02 01 5ba0 ${nextHop} c0 07 06 fde9 0a000001
      c0 11 06 02 01 00011170 c0 12 08 00011170 0a000002`,
    fourOctetAs: false,
    outcome: "announced",
    kept: {
      asPath: [{ kind: "sequence", asns: [23456 as Asn] }],
      aggregator: { asn: 65001 as Asn, address: "10.0.0.1" as IpAddr },
    },
  },
  {
    rule: "6793 4.2.3: AS4_AGGREGATOR without AGGREGATOR",
    attributes: `${origin} 40 02 04 02 01 5ba0 ${nextHop} c0 11 06 02 01 00011170
      c0 12 08 00011170 0a000002`,
    fourOctetAs: false,
    outcome: "announced",
    kept: { asPath: [{ kind: "sequence", asns: [70000 as Asn] }] },
    without: "aggregator",
  },
  {
    rule: "5065 5: confederation segments of our own AS",
    attributes: `${origin} 40 02 0c 03 01 0000fde9 02 01 0000fdea ${nextHop}`,
    outcome: "announced",
    kept: {
      asPath: [
        { kind: "confedSequence", asns: [65001 as Asn] },
        { kind: "sequence", asns: [65002 as Asn] },
      ],
    },
  },
  {
    rule: "8092 3: the second of two equal large communities is dropped",
    attributes: `${mandatory} c0 20 24 ${"0000fde8 00000001 00000002".repeat(3)}`,
    outcome: "announced",
    kept: { largeCommunities: [[65000, 1, 2]] },
  },
  {
    rule: "4271 6.3: well-known attribute that is unknown",
    attributes: `${mandatory} 40 63 00`,
    outcome: "reset 3/2",
  },
  {
    rule: "4271 9: optional non-transitive unknown attribute",
    attributes: `${mandatory} 80 63 00`,
    outcome: "announced",
    without: "unknown",
  },
];

suite("decodeUpdate", () => {
  for (const row of rows) {
    test(`handles ${row.rule}`, () => {
      const body = updateBody("", row.attributes, row.nlri ?? block);
      const { external = false, fourOctetAs = true } = row;
      const decoded = decodeUpdate(body, { external, fourOctetAs, families: [4, 6] });
      if (!decoded.ok) {
        const { code, subcode } = decoded.notification;
        assert.equal(`reset ${code}/${subcode}`, row.outcome, decoded.reason);
        return;
      }
      const { announced, withdrawn, treatedAsWithdraw, attributes } = decoded.message;
      const outcome = announced.length > 0 ? "announced" : withdrawn.length > 0 ? "withdrawn" : "";
      assert.equal(outcome, row.outcome, treatedAsWithdraw);
      assert.equal(treatedAsWithdraw !== undefined, row.outcome === "withdrawn");
      if (row.without !== undefined) assert.ok(!(row.without in (attributes ?? {})));
      assert.deepEqual({ ...attributes, ...row.kept }, { ...attributes });
    });
  }

  test("treat-as-withdraw keeps what was withdrawn and adds what was announced", () => {
    const body = updateBody("08 0b", `${origin} ${nextHop}`, `${block} 00`);
    const decoded = decodeUpdate(body, { external: false, fourOctetAs: true, families: [4] });
    assert.ok(decoded.ok);
    const withdrawn = decoded.message.withdrawn.flatMap((prefixes) => unpack(prefixes));
    assert.deepEqual(withdrawn, ["11.0.0.0/8", "10.1.2.0/24", "0.0.0.0/0"]);
    assert.equal(decoded.message.treatedAsWithdraw, "AS_PATH is missing");
  });

  test("why an attribute is discarded is told", () => {
    const discarded = (attributes: string) => {
      const body = updateBody("", `${mandatory} ${attributes}`, block);
      const decoded = decodeUpdate(body, { external: true, fourOctetAs: true, families: [4] });
      return decoded.ok ? decoded.message.discarded : decoded.reason;
    };
    assert.equal(discarded("40 06 01 00"), "ATOMIC_AGGREGATE of 1 octets is malformed");
    assert.equal(discarded("40 05 04 00000001"), "LOCAL_PREF came from another AS");
    assert.equal(discarded("40 01 01 00"), "ORIGIN is there twice");
    assert.equal(discarded("c0 63 00 c0 63 00"), "Attribute 99 is there twice");
    assert.equal(discarded("80 63 00"), undefined);
  });

  test("prefixes of a family that is not negotiated are skipped", () => {
    const body = updateBody("", `${reach6} ${mandatory}`, block);
    const decoded = decodeUpdate(body, { external: false, fourOctetAs: true, families: [4] });
    assert.ok(decoded.ok);
    const announced = decoded.message.announced.flatMap(({ prefixes }) => unpack(prefixes));
    assert.deepEqual(announced, ["10.1.2.0/24"]);
  });

  test("of a next hop of 32 octets the global address counts, or the other when it is zero", () => {
    const linkLocal = "fe800000000000000000000000000001";
    const nextHopOf = (global: string) => {
      const reach = `80 0e 28 0002 01 20 ${global} ${linkLocal} 00 10 fd00`;
      const body = updateBody("", `${reach} ${origin} ${asPath}`, "");
      const decoded = decodeUpdate(body, { external: false, fourOctetAs: true, families: [6] });
      return decoded.ok ? decoded.message.announced[0]?.nextHop : decoded.reason;
    };
    assert.equal(nextHopOf("fd000000000000000000000000000001"), "fd00::1");
    assert.equal(nextHopOf("0".repeat(32)), "fe80::1");
  });

  test("lengths that run past the message reset the session", () => {
    for (const body of ["0005 0000", "0000 0001", "ffff 0000"]) {
      const context = { external: false, fourOctetAs: true, families: [4] } as const;
      const decoded = decodeUpdate(fromHex(body), context);
      assert.deepEqual([!decoded.ok && decoded.notification.subcode], [1]);
    }
  });

  test("host bits behind a prefix' length are taken as zero", () => {
    const body = updateBody("", mandatory, "0c 0aff 00");
    const decoded = decodeUpdate(body, { external: false, fourOctetAs: true, families: [4] });
    assert.ok(decoded.ok);
    const announced = decoded.message.announced.flatMap(({ prefixes }) => unpack(prefixes));
    assert.deepEqual(announced, ["10.240.0.0/12", "0.0.0.0/0"]);
  });
});

function updateBody(withdrawn: string, attributes: string, nlri: string): Uint8Array {
  const lengthOf = (hex: string) => fromHex(hex).length.toString(16).padStart(4, "0");
  return fromHex(lengthOf(withdrawn) + withdrawn + lengthOf(attributes) + attributes + nlri);
}
