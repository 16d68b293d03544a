import { test } from "node:test";
import { simulate } from "./simulation.ts";

/** 1,000 seeds, 200 hosts each. A failing seed is named: run it alone with `SEED=n`. */
const only = process.env["SEED"];
const [first, last] = only === undefined ? [1, 1_000] : [Number(only), Number(only)];
const seedsAtOnce = 10;

for (let from = first; from <= last; from += seedsAtOnce) {
  const to = Math.min(last, from + seedsAtOnce - 1);
  test(`no address is used twice or lost, 200 hosts (seeds ${from} to ${to})`, async () => {
    for (let seed = from; seed <= to; seed++) {
      try {
        await simulate({ seed, hosts: 200 });
      } catch (cause) {
        throw new Error(`seed ${seed}`, { cause });
      }
    }
  });
}
