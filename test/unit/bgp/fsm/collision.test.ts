import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type CollisionVerdict, decideCollision } from "../../../../src/bgp/fsm/collision.ts";
import type { FsmState } from "../../../../src/bgp/fsm/fsm.ts";
import type { Asn } from "../../../../src/lib/asn.ts";

type Initiator = "local" | "remote";

const high = { routerId: 0x0a000002, asn: 64512 as Asn };
const low = { routerId: 0x0a000001, asn: 64512 as Asn };

/** RFC 4271 section 6.8: state and initiator of the older, initiator of the newer, our id, verdict. */
const rows: readonly (readonly [
  FsmState,
  Initiator,
  Initiator,
  "high" | "low",
  CollisionVerdict | undefined,
])[] = [
  ["Connect", "local", "remote", "high", undefined],
  ["OpenSent", "local", "remote", "high", undefined],
  ["OpenConfirm", "local", "remote", "high", "newer"],
  ["OpenConfirm", "local", "remote", "low", "wait"],
  ["OpenConfirm", "remote", "local", "high", "wait"],
  ["OpenConfirm", "remote", "local", "low", "newer"],
  ["OpenConfirm", "remote", "remote", "high", "older"],
  ["Established", "local", "remote", "high", "newer"],
  ["Established", "local", "remote", "low", "wait"],
  ["Established", "remote", "local", "low", "newer"],
  ["Established", "remote", "local", "high", "wait"],
  ["Established", "remote", "remote", "high", "newer"],
];

suite("decideCollision", () => {
  for (const [state, older, newer, us, verdict] of rows) {
    test(`says ${verdict} for ${older} in ${state} against ${newer}, we have the ${us} id`, () => {
      const ids = us === "high" ? { local: high, peer: low } : { local: low, peer: high };
      const got = decideCollision(
        { state, initiator: older },
        { state: "OpenSent", initiator: newer },
        ids,
      );
      assert.equal(got, verdict);
    });
  }

  test("goes by the AS when router ids are equal (RFC 6286)", () => {
    const [a, b] = [
      { routerId: 1, asn: 65001 as Asn },
      { routerId: 1, asn: 65000 as Asn },
    ];
    const [older, newer] = [
      { state: "OpenConfirm", initiator: "local" },
      { state: "OpenSent", initiator: "remote" },
    ] as const;
    assert.equal(decideCollision(older, newer, { local: a, peer: b }), "newer");
    assert.equal(decideCollision(older, newer, { local: b, peer: a }), "wait");
  });
});
