import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { test } from "node:test";
import { type SeedOutcome, simulateSeeds } from "./seeds.ts";

/** 20 seeds, 200 hosts each; `SEEDS=1000` for more, `SEED=n` for one that failed. */
const { SEED: only, SEEDS: count = "20" } = process.env;
const [first, last] = only === undefined ? [1, Number(count)] : [Number(only), Number(only)];

test(`no address is used twice or lost, 200 hosts (seeds ${first} to ${last})`, async () => {
  const outcomes: SeedOutcome[] = [];
  const workers = Math.min(availableParallelism(), last - first + 1);
  await simulateSeeds({ first, last, hosts: 200, workers }, (outcome) => outcomes.push(outcome));
  assert.deepEqual(
    outcomes.filter((outcome) => "failure" in outcome),
    [],
  );
  assert.equal(outcomes.length, last - first + 1);
});
