import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "../../../src/lib/clock.ts";
import { PacedRunner } from "../../../src/lib/paced-runner.ts";

test("requests during a run are one more run, and never two at once", async () => {
  const stop = new AbortController();
  const config = { minIntervalMs: 1, retryIntervalMs: 5, maxIntervalMs: 60_000 };
  const runner = new PacedRunner(config, systemClock);
  let [runs, running] = [0, 0];
  const done = runner.start(
    async () => {
      assert.equal(++running, 1);
      runs++;
      await delay(10);
      running--;
    },
    () => assert.fail("no run fails"),
    stop.signal,
  );
  runner.request();
  await delay(5);
  for (let i = 0; i < 10; i++) runner.request();
  await delay(60);
  stop.abort();
  await done;
  assert.equal(runs, 2);
});

test("a failed run is tried again after the retry interval", async () => {
  const stop = new AbortController();
  const config = { minIntervalMs: 1, retryIntervalMs: 5, maxIntervalMs: 60_000 };
  const runner = new PacedRunner(config, systemClock);
  const errors: unknown[] = [];
  let runs = 0;
  const done = runner.start(
    async () => {
      runs++;
      if (runs < 3) throw new Error("not yet");
      stop.abort();
    },
    (error) => errors.push(error),
    stop.signal,
  );
  runner.request();
  await done;
  assert.equal(runs, 3);
  assert.equal(errors.length, 2);
});
