import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { decide, type LostBy, type Path } from "../../../../src/bgp/rib/decision.ts";

const base: Path = {
  peer: 1,
  attributesId: 1,
  local: false,
  localPref: 100,
  asPathLength: 1,
  origin: 0,
  med: 0,
  neighborAs: 65001,
  learnedBy: "ebgp",
  igpCost: 0,
  routerId: 1,
  clusterListLength: 0,
  peerAddress: 1n,
};

const rows: readonly (readonly [LostBy, better: Partial<Path>, worse: Partial<Path>])[] = [
  ["local", { local: true, localPref: 0 }, { localPref: 200 }],
  ["long-lived-stale", { localPref: 0 }, { longLivedStale: true, localPref: 200 }],
  ["local-pref", { localPref: 200, asPathLength: 9 }, { localPref: 100 }],
  ["as-path-length", { asPathLength: 1, origin: 2 }, { asPathLength: 2 }],
  ["origin", { origin: 0, med: 9 }, { origin: 1 }],
  ["med", { med: 1, learnedBy: "ibgp" }, { med: 2 }],
  ["ebgp", { learnedBy: "ebgp", igpCost: 9 }, { learnedBy: "ibgp" }],
  ["igp-cost", { igpCost: 0, routerId: 9 }, { igpCost: 1 }],
  ["router-id", { routerId: 1, clusterListLength: 9 }, { routerId: 2 }],
  ["cluster-list-length", { clusterListLength: 0, peerAddress: 9n }, { clusterListLength: 1 }],
  ["peer-address", { peerAddress: 1n, pathId: 9 }, { peerAddress: 2n, pathId: 1 }],
  ["path-id", { pathId: 1 }, { pathId: 2 }],
];

rows.forEach(([step, better, worse]) => {
  test(`decide() prefers by ${step}, before every later step`, () => {
    const [winner, loser] = [
      { ...base, ...better },
      { ...base, ...worse, peer: 2 },
    ];
    for (const paths of [
      [winner, loser],
      [loser, winner],
    ]) {
      const { best, lost } = decide(paths);
      assert.equal(best, winner);
      assert.deepEqual([...lost], [[loser, step]]);
    }
  });
});

test("decide() compares MED only among paths of one neighbor AS", () => {
  const a = { ...base, neighborAs: 1, med: 10, routerId: 1 };
  const b = { ...base, neighborAs: 1, med: 5, routerId: 3 };
  const c = { ...base, neighborAs: 2, med: 20, routerId: 2 };
  const { best, lost } = decide([a, b, c]);
  assert.equal(best, c);
  assert.deepEqual(
    new Set(lost),
    new Set([
      [a, "med"],
      [b, "router-id"],
    ]),
  );
});

test("decide() names the paths over which packets may be spread", () => {
  const equal = [1, 2].map((routerId) => ({ ...base, routerId }));
  const far = { ...base, igpCost: 1 };
  assert.deepEqual(decide([far, ...equal]).equal, equal);
  assert.deepEqual(decide([]).equal, []);
  assert.equal(decide([]).best, undefined);
});

test("decide() gives one answer whatever the order of arrival", () => {
  const small = fc.integer({ min: 0, max: 2 });
  const paths = fc
    .array(
      fc.record({
        local: fc.constant(false),
        localPref: small,
        asPathLength: small,
        origin: small,
        med: small,
        neighborAs: small,
        learnedBy: fc.constantFrom("ebgp" as const, "ibgp" as const),
        igpCost: small,
        routerId: small,
        clusterListLength: small,
      }),
      { minLength: 1, maxLength: 8 },
    )
    .map((list) =>
      list.map((path, i): Path => ({ ...path, peer: i, attributesId: i, peerAddress: BigInt(i) })),
    );
  const shuffled = paths.chain((list) =>
    fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
  );
  fc.assert(
    fc.property(shuffled, ([list, other]) => {
      const [one, two] = [decide(list), decide(other)];
      assert.equal(one.best, two.best);
      assert.deepEqual(new Set(one.equal), new Set(two.equal));
      assert.equal(one.lost.size, list.length - 1);
      for (const [path, step] of one.lost) assert.equal(two.lost.get(path), step);
      assert.ok(one.best !== undefined && one.equal.includes(one.best));
    }),
    { numRuns: 2000 },
  );
});
