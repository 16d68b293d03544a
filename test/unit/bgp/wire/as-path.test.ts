import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { mergeAs4Path, needsAs4Path } from "../../../../src/bgp/wire/as-path.ts";
import type { AsPathSegment } from "../../../../src/bgp/wire/message.ts";
import type { Asn } from "../../../../src/lib/asn.ts";

const sequence = (...asns: number[]): AsPathSegment => ({ kind: "sequence", asns: asns as Asn[] });
const set = (...asns: number[]): AsPathSegment => ({ kind: "set", asns: asns as Asn[] });
const confederation = (...asns: number[]): AsPathSegment => ({
  kind: "confedSequence",
  asns: asns as Asn[],
});

/** RFC 6793 section 4.2.3, a row each. */
const rows: readonly (readonly [
  name: string,
  asPath: AsPathSegment[],
  as4Path: AsPathSegment[],
  merged: AsPathSegment[],
])[] = [
  ["the same length", [sequence(23456, 5)], [sequence(70000, 5)], [sequence(70000, 5)]],
  ["old speakers in front", [sequence(1, 2, 23456)], [sequence(70000)], [sequence(1, 2, 70000)]],
  ["AS4_PATH is longer: ignored", [sequence(1)], [sequence(70000, 2)], [sequence(1)]],
  [
    "a set counts as one",
    [sequence(1, 23456), set(3, 4)],
    [sequence(70000), set(3, 80000)],
    [sequence(1, 70000), set(3, 80000)],
  ],
  ["a set in front", [set(1, 2), sequence(23456)], [sequence(70000)], [set(1, 2), sequence(70000)]],
  [
    "confederation segments in front are kept, in AS4_PATH dropped",
    [confederation(9), sequence(23456)],
    [confederation(8), sequence(70000)],
    [confederation(9), sequence(70000)],
  ],
];

suite("mergeAs4Path", () => {
  for (const [name, asPath, as4Path, merged] of rows) {
    test(`gives the whole path: ${name}`, () => {
      assert.deepEqual(mergeAs4Path(asPath, as4Path), merged);
    });
  }
});

suite("needsAs4Path", () => {
  test("is true where two octets lose an AS that AS4_PATH can hold", () => {
    assert.equal(needsAs4Path([sequence(1, 65535)]), false);
    assert.equal(needsAs4Path([sequence(1), set(65536)]), true);
    assert.equal(needsAs4Path([confederation(70000), sequence(1)]), false);
  });
});
