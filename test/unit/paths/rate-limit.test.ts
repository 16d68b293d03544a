import assert from "node:assert/strict";
import { test } from "node:test";
import { RateLimit } from "../../../src/paths/rate-limit.ts";

test("all keys together have a limit, too", () => {
  const limit = new RateLimit({ perSecond: 10, burst: 10 }, { perSecond: 15, burst: 15 });
  const taken = (key: string, now: number) =>
    Array.from({ length: 20 }, () => limit.take(key, now)).filter(Boolean).length;
  assert.deepEqual([taken("a", 1000), taken("b", 1000), taken("c", 1000)], [10, 5, 0]);
  assert.deepEqual([taken("a", 2000), taken("b", 2000)], [10, 5]);
});
