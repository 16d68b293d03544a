import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { largestSize, sizesBetween } from "../../../src/paths/largest-size.ts";

test("largestSize() finds any limit, trying eight sizes at a time", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 100, max: 2000 }),
      fc.integer({ min: 1, max: 64_000 }),
      fc.nat(),
      async (low, range, where) => {
        const limit = low + (where % range);
        let rounds = 0;
        const found = await largestSize({ low, high: low + range }, async (sizes) => {
          rounds++;
          assert.ok(sizes.length <= 8);
          return sizes.filter((size) => size <= limit);
        });
        assert.equal(found, limit);
        assert.ok(rounds <= 8);
      },
    ),
  );
});

test("a size that was lost by chance, below one that passed, does not matter", async () => {
  const found = await largestSize({ low: 348, high: 1500 }, async (sizes) =>
    sizes.filter((size, i) => size <= 1400 && i !== 0),
  );
  assert.ok(found > 1300 && found <= 1400, `${found}`);
});

test("sizesBetween() leaves out the ends", () => {
  assert.deepEqual(sizesBetween(1, 4), [2, 3]);
  assert.deepEqual(sizesBetween(1, 2), []);
});
