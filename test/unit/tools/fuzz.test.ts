import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { attributeRows } from "../../../src/bgp/wire/attribute-rows.ts";
import { FuzzRun } from "../../../tools/fuzz/fuzz.ts";
import type { FuzzTarget } from "../../../tools/fuzz/fuzz-target.ts";
import { fuzzTargets } from "../../../tools/fuzz/targets.ts";

/** Inputs beyond the corpus: the long run is `node tools/fuzz.ts` (docs/fuzzing.md). */
const made = 150;

suite("fuzz targets", () => {
  for (const target of fuzzTargets) {
    test(`${target.name} holds for its corpus and what is made of it`, () => {
      const run = new FuzzRun(target, 1);
      while (run.count < target.corpus.length + made) {
        run.step();
        if (run.failure !== undefined) throw run.failure.error;
      }
    });
  }

  test("there is one for every attribute, and no name twice", () => {
    const names = new Set(fuzzTargets.map(({ name }) => name));
    assert.equal(names.size, fuzzTargets.length);
    for (const { name } of attributeRows) assert.ok(names.has(`attribute/${name}`), name);
  });
});

suite("FuzzRun", () => {
  /** Breaks when the octets that it wants follow each other; each step there is an outcome. */
  const wanted = [0x7f, 0x80, 0xff];
  const broken: FuzzTarget = {
    name: "broken",
    corpus: [Uint8Array.of(0, 0, 0)],
    maxLength: 4,
    run: (input) => {
      const reached = wanted.findIndex((octet, at) => input[at] !== octet);
      assert.notEqual(reached, -1);
      return `reached ${reached}`;
    },
  };

  test("finds what breaks a target by way of outcomes, and keeps the input", () => {
    const run = new FuzzRun(broken, 1);
    for (let left = 200_000; left > 0 && run.failure === undefined; left--) run.step();
    assert.deepEqual([...(run.failure?.input ?? [])].slice(0, 3), wanted);
    const { count } = run;
    run.step();
    assert.equal(run.count, count);
  });

  test("gives the same inputs for the same seed, and others for another", () => {
    const inputs = (seed: number) => {
      const seen: string[] = [];
      const target: FuzzTarget = {
        ...broken,
        run: (input) => {
          const text = Buffer.from(input).toString("hex");
          seen.push(text);
          return text;
        },
      };
      const run = new FuzzRun(target, seed);
      for (let left = 50; left > 0; left--) run.step();
      return seen;
    };
    assert.deepEqual(inputs(1), inputs(1));
    assert.notDeepEqual(inputs(1), inputs(2));
  });
});
