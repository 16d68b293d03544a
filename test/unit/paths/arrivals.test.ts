import assert from "node:assert/strict";
import { test } from "node:test";
import { Arrivals } from "../../../src/paths/arrivals.ts";

test("of many runs the last ones are remembered, and so many probes of each", () => {
  const arrivals = new Arrivals();
  for (let run = 0; run < 300; run++) {
    arrivals.add("node2", `${run}`, 1);
    // It is used all the time.
    arrivals.add("node2", "0", run);
  }
  assert.deepEqual(arrivals.since("node2", "1", 0, 4), []);
  assert.deepEqual(arrivals.since("node2", "299", 0, 4), [1]);
  assert.deepEqual(arrivals.since("node2", "0", 0, 2), [0, 1]);
  assert.deepEqual(arrivals.since("node3", "299", 0, 4), []);
  for (let number = 0; number < 1100; number++) arrivals.add("node2", "many", number);
  assert.equal(arrivals.since("node2", "many", 0, 1100).length, 1024);
});
