import assert from "node:assert/strict";
import { test } from "node:test";
import { LatestValue } from "../../../src/lib/latest-value.ts";

test("LatestValue gives the last of the values that came, each once", async () => {
  const values = new LatestValue<number>();
  const { signal } = new AbortController();
  const waiting = values.next(signal);
  values.set(1);
  const first = await waiting;
  assert.equal(first?.value, 1);
  assert.equal(first.outdated.aborted, false);
  values.set(2);
  values.set(3);
  assert.equal(first.outdated.aborted, true);
  assert.equal((await values.next(signal))?.value, 3);
});

test("LatestValue gives nothing when the wait is over", async () => {
  const stop = new AbortController();
  const waiting = new LatestValue<number>().next(stop.signal);
  stop.abort();
  assert.equal(await waiting, undefined);
});
