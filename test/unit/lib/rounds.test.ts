import assert from "node:assert/strict";
import { test } from "node:test";
import { inOwnRound } from "../../../src/lib/rounds.ts";

const nextRound = () => new Promise((resolve) => setImmediate(resolve));

test("inOwnRound() runs one job a round, in order, also those that jobs ask for", async () => {
  const ran: string[] = [];
  inOwnRound(() => {
    ran.push("a");
    inOwnRound(() => ran.push("c"));
  });
  inOwnRound(() => ran.push("b"));
  assert.equal(ran.length, 0);
  for (const after of [["a"], ["a", "b"], ["a", "b", "c"], ["a", "b", "c"]]) {
    await nextRound();
    assert.deepEqual(ran, after);
  }
  inOwnRound(() => ran.push("d"));
  await nextRound();
  assert.deepEqual(ran, ["a", "b", "c", "d"]);
});
