import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { collisionLoser } from "../../../../src/bgp/fsm/collision.ts";
import type { FsmState } from "../../../../src/bgp/fsm/fsm.ts";
import type { Asn } from "../../../../src/lib/asn.ts";

type Initiator = "local" | "remote";

const high = { routerId: 0x0a000002, asn: 64512 as Asn };
const low = { routerId: 0x0a000001, asn: 64512 as Asn };

/** RFC 4271 section 6.8: state and initiator of the older, initiator of the newer, our id, loser. */
const rows: readonly (readonly [
  FsmState,
  Initiator,
  Initiator,
  "high" | "low",
  "older" | "newer" | undefined,
])[] = [
  ["Connect", "local", "remote", "high", undefined],
  ["OpenSent", "local", "remote", "high", undefined],
  ["OpenConfirm", "local", "remote", "high", "newer"],
  ["OpenConfirm", "local", "remote", "low", "older"],
  ["OpenConfirm", "remote", "local", "high", "older"],
  ["OpenConfirm", "remote", "local", "low", "newer"],
  ["OpenConfirm", "remote", "remote", "high", "older"],
  ["Established", "local", "remote", "low", "newer"],
  ["Established", "remote", "local", "high", "newer"],
];

suite("collisionLoser", () => {
  for (const [state, older, newer, us, loser] of rows) {
    test(`is ${loser} for ${older} in ${state} against ${newer}, we have the ${us} id`, () => {
      const ids = us === "high" ? { local: high, peer: low } : { local: low, peer: high };
      const got = collisionLoser(
        { state, initiator: older },
        { state: "OpenConfirm", initiator: newer },
        ids,
      );
      assert.equal(got, loser);
    });
  }

  test("is decided by the AS when router ids are equal (RFC 6286)", () => {
    const [a, b] = [
      { routerId: 1, asn: 65001 as Asn },
      { routerId: 1, asn: 65000 as Asn },
    ];
    const [older, newer] = [
      { state: "OpenConfirm", initiator: "local" },
      { state: "OpenConfirm", initiator: "remote" },
    ] as const;
    assert.equal(collisionLoser(older, newer, { local: a, peer: b }), "newer");
    assert.equal(collisionLoser(older, newer, { local: b, peer: a }), "older");
  });

  test("leaves the same connection at both ends", () => {
    for (const first of ["local", "remote"] as const) {
      const other = first === "local" ? "remote" : "local";
      const here = collisionLoser(
        { state: "OpenConfirm", initiator: first },
        { state: "OpenConfirm", initiator: other },
        { local: high, peer: low },
      );
      // The peer sees the same two connections with initiators exchanged, in either order.
      const there = collisionLoser(
        { state: "OpenConfirm", initiator: first },
        { state: "OpenConfirm", initiator: other },
        { local: low, peer: high },
      );
      const loserInitiator = (loser: "older" | "newer" | undefined) =>
        loser === "older" ? first : other;
      assert.notEqual(loserInitiator(here), loserInitiator(there));
    }
  });
});
