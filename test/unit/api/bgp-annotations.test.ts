import assert from "node:assert/strict";
import { test } from "node:test";
import { bgpAnnotationsOf } from "../../../src/api/bgp-annotations.ts";

const key = {
  bfd: "tortie.dev/bfd",
  stale: "tortie.dev/long-lived-stale-time",
  limit: "tortie.dev/max-prefixes",
} as const;

const accepted: readonly (readonly [keyof typeof key, string, object])[] = [
  ["bfd", "300ms x 3", { bfd: { intervalMs: 300, multiplier: 3 } }],
  ["bfd", "10ms x 255 multihop", { bfd: { intervalMs: 10, multiplier: 255, multihop: true } }],
  ["bfd", "60000ms x 1 singlehop", { bfd: { intervalMs: 60000, multiplier: 1, multihop: false } }],
  ["stale", "24h", { longLivedStaleSeconds: 86400 }],
  ["stale", "0", { longLivedStaleSeconds: 0 }],
  ["limit", "1000", { maxPrefixes: { limit: 1000, onExceed: "teardown" } }],
  ["limit", "1 warn", { maxPrefixes: { limit: 1, onExceed: "warn" } }],
  [
    "limit",
    "5 restart 1m30s",
    { maxPrefixes: { limit: 5, onExceed: "teardown", restartSeconds: 90 } },
  ],
];

for (const [name, text, expected] of accepted) {
  test(`Annotation ${name} "${text}" is read`, () => {
    assert.deepEqual(bgpAnnotationsOf({ [key[name]]: text, "example.org/other": "x" }), expected);
  });
}

const refused: readonly (readonly [keyof typeof key, string])[] = [
  ["bfd", ""],
  ["bfd", "300 x 3"],
  ["bfd", "9ms x 3"],
  ["bfd", "60001ms x 3"],
  ["bfd", "300ms x 0"],
  ["bfd", "300ms x 256"],
  ["bfd", "300ms x 3 twohop"],
  ["stale", "a day"],
  ["stale", "-1s"],
  ["stale", "4661h"],
  ["limit", "0"],
  ["limit", "-1"],
  ["limit", "1000 restart"],
  ["limit", "1000 restart soon"],
  ["limit", "1000 tear"],
];

for (const [name, text] of refused) {
  test(`Annotation ${name} "${text}" is refused by name and value`, () => {
    assert.throws(
      () => bgpAnnotationsOf({ [key[name]]: text }),
      (error: Error) =>
        error instanceof SyntaxError &&
        error.message.startsWith(`${key[name]} must be `) &&
        error.message.endsWith(`, got "${text}"`),
    );
  });
}

test("An annotation of ours that is not known is refused, as it would do nothing", () => {
  assert.throws(() => bgpAnnotationsOf({ "tortie.dev/bdf": "300ms x 3" }), {
    message: "tortie.dev/bdf is not known",
  });
  assert.deepEqual(bgpAnnotationsOf(), {});
});
