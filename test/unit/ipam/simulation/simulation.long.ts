import { test } from "node:test";
import { simulate } from "./simulation.ts";

/**
 * 20 seeds, 200 hosts each; `SEEDS=1000` for more, which takes hours. A failing seed is named: run it
 * alone with `SEED=n`.
 */
const { SEED: only, SEEDS: count = "20" } = process.env;
const [first, last] = only === undefined ? [1, Number(count)] : [Number(only), Number(only)];
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
