import { strict as assert } from "node:assert";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import * as fc from "fast-check";
import { type FeedStyle, feed, styles } from "./feed.ts";
import { states } from "./states.ts";

/**
 * The dataplane depends on what the datastore holds now, never on how it came to hold it
 * (architecture, promise 2): every state has one golden text, whatever the way to it.
 * UPDATE_GOLDEN=1 writes the texts anew.
 */

const plain = styles[0] as FeedStyle;
const golden = new Map(
  states.map(({ name, resources }) => {
    const file = new URL(`golden/${name}.txt`, import.meta.url);
    if (process.env["UPDATE_GOLDEN"]) writeFileSync(file, feed([resources], plain));
    return [name, readFileSync(file, "utf8")];
  }),
);

for (const style of styles) {
  test(`each state by itself, ${style.name}, gives its dataplane`, () => {
    for (const { name, resources } of states) {
      assert.equal(feed([resources], style), golden.get(name), name);
    }
  });

  test(`each state after each other, ${style.name}, gives its dataplane`, () => {
    for (const first of states) {
      for (const second of states) {
        const text = feed([first.resources, second.resources], style);
        assert.equal(text, golden.get(second.name), `${first.name}, then ${second.name}`);
      }
    }
  });
}

test("any sequence of states, with empty ones between or not, gives the last one's dataplane", () => {
  const sequences = fc.array(fc.constantFrom(...states), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(sequences, fc.constantFrom(...styles), fc.boolean(), (sequence, style, empties) => {
      const steps = sequence.flatMap(({ resources }) => (empties ? [[], resources] : [resources]));
      assert.equal(feed(steps, style), golden.get(sequence.at(-1)?.name ?? ""));
    }),
    { numRuns: 200 },
  );
});

test("any order of the updates of a state gives its dataplane", () => {
  fc.assert(
    fc.property(
      fc
        .constantFrom(...states)
        .chain((state) =>
          fc.tuple(
            fc.constant(state),
            fc.shuffledSubarray([...state.resources], { minLength: state.resources.length }),
          ),
        ),
      fc.constantFrom(...styles),
      ([{ name }, shuffled], style) => {
        assert.equal(feed([shuffled], style), golden.get(name));
      },
    ),
    { numRuns: 200 },
  );
});

test("nothing comes out before the datastore was in sync", async () => {
  const { CalcGraph } = await import("../../src/felix/calc/calc-graph.ts");
  const { keyOf } = await import("../../src/api/resource-key.ts");
  const graph = new CalcGraph({ nodeName: "node-a" });
  for (const { resources } of states) {
    for (const resource of resources) graph.update(keyOf(resource), resource);
  }
  assert.deepEqual(graph.flush(), []);
  graph.setInSync();
  assert.notDeepEqual(graph.flush(), []);
});
