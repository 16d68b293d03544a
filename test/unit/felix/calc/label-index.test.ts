import { strict as assert } from "node:assert";
import { test } from "node:test";
import * as fc from "fast-check";
import { equals, type Selector } from "../../../../src/api/selector/ast.ts";
import { evaluateSelector } from "../../../../src/api/selector/evaluate.ts";
import { parseSelector } from "../../../../src/api/selector/parser.ts";
import { LabelIndex } from "../../../../src/felix/calc/label-index.ts";
import { unlimited } from "../../../../src/lib/time-slice.ts";
import { arbitrarySelector } from "../../../support/arbitrary-selector.ts";
import { steps } from "../../../support/steps.ts";

/** An index, and the matches that it told of and did not take back. */
function watchedIndex() {
  const told = new Set<string>();
  const index = new LabelIndex((selectorId, itemId, matches) => {
    const pair = `${selectorId} ${itemId}`;
    assert.equal(told.has(pair), !matches, `told twice: ${pair} ${matches}`);
    if (matches) told.add(pair);
    else told.delete(pair);
  });
  /** What ends with its selector is not told. */
  const removeSelector = (id: string) => {
    index.removeSelector(id);
    for (const pair of told) if (pair.startsWith(`${id} `)) told.delete(pair);
  };
  const matches = () => {
    assert.equal(index.work(unlimited), true);
    return [...told].sort();
  };
  return { index, told, removeSelector, matches };
}

const labels = fc
  .dictionary(fc.constantFrom("a", "b", "c", "in"), fc.constantFrom("", "x", "y", "xy"))
  .map((record) => new Map(Object.entries(record)));
const id = fc.constantFrom("1", "2", "3", "4");
const change = fc.oneof(
  fc.record({ op: fc.constant("setItem" as const), id, labels }),
  fc.record({ op: fc.constant("removeItem" as const), id }),
  fc.record({ op: fc.constant("setSelector" as const), id, selector: arbitrarySelector }),
  fc.record({ op: fc.constant("removeSelector" as const), id }),
  fc.record({ op: fc.constant("work" as const), count: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ op: fc.constant("look" as const) }),
);

test("LabelIndex matches what trying every pair would, after any changes between any slices", () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
      const { index, matches, removeSelector } = watchedIndex();
      const items = new Map<string, ReadonlyMap<string, string>>();
      const selectors = new Map<string, Selector>();
      for (const step of changes) {
        if (step.op === "setItem") {
          index.setItem(step.id, step.labels);
          items.set(step.id, step.labels);
        } else if (step.op === "removeItem") {
          index.removeItem(step.id);
          items.delete(step.id);
        } else if (step.op === "setSelector") {
          index.setSelector(step.id, step.selector);
          selectors.set(step.id, step.selector);
        } else if (step.op === "removeSelector") {
          removeSelector(step.id);
          selectors.delete(step.id);
        } else if (step.op === "work") index.work(steps(step.count));
        if (step.op !== "look") continue;
        assert.deepEqual(matches(), pairsOf(selectors, items));
      }
      assert.deepEqual(matches(), pairsOf(selectors, items));
      for (const itemId of items.keys()) {
        const expected = pairsOf(selectors, items).filter((pair) => pair.endsWith(` ${itemId}`));
        const found = [...index.selectorsOf(itemId)].map((selectorId) => `${selectorId} ${itemId}`);
        assert.deepEqual(found.sort(), expected);
      }
      for (const selectorId of selectors.keys()) {
        const expected = pairsOf(selectors, items).filter((pair) =>
          pair.startsWith(`${selectorId} `),
        );
        const found = [...index.itemsOf(selectorId)].map((itemId) => `${selectorId} ${itemId}`);
        assert.deepEqual(found.sort(), expected);
        assert.equal(index.hasMatches(selectorId), expected.length > 0);
      }
    }),
    { numRuns: 300 },
  );
});

function pairsOf(
  selectors: ReadonlyMap<string, Selector>,
  items: ReadonlyMap<string, ReadonlyMap<string, string>>,
): string[] {
  return [...selectors]
    .flatMap(([selectorId, selector]) =>
      [...items]
        .filter(([, itemLabels]) => evaluateSelector(selector, itemLabels))
        .map(([itemId]) => `${selectorId} ${itemId}`),
    )
    .sort();
}

test("LabelIndex tries the candidates of a selector in slices, and forgets its matches so", () => {
  const { index, told } = watchedIndex();
  for (let i = 0; i < 100; i++) index.setItem(`e${i}`, new Map([["app", "web"]]));
  index.setSelector("s", equals("app", "web"));
  let slices = 1;
  while (!index.work(steps(10))) slices++;
  // Ten to file the items under the label, ten to try them.
  assert.deepEqual([slices, told.size], [21, 100]);
  index.removeSelector("s");
  assert.deepEqual([...index.selectorsOf("e0")], []);
  slices = 1;
  while (!index.work(steps(10))) slices++;
  assert.equal(slices, 11);
});

test("LabelIndex does not try every selector on every item", () => {
  const count = 10_000;
  const { index, told } = watchedIndex();
  for (let i = 0; i < count; i++) index.setSelector(`s${i}`, equals("app", `app-${i}`));
  for (let i = 0; i < count; i++) {
    index.setItem(`e${i}`, new Map([["app", `app-${i}`]]));
  }
  assert.equal(told.size, count);
  // Every pair would be 100 million.
  const { evaluations } = index.sizes;
  assert.ok(evaluations >= count && evaluations < 5 * count, `${evaluations} evaluations`);
});

test("LabelIndex does not try every selector of a namespace on every item of it", () => {
  const count = 10_000;
  const selectorOf = (i: number) =>
    parseSelector(`projectcalico.org/namespace == 'prod' && app == 'app-${i}'`);
  const labelsOf = (i: number) =>
    new Map([
      ["projectcalico.org/namespace", "prod"],
      ["app", `app-${i}`],
    ]);
  const { index, told } = watchedIndex();
  for (let i = 0; i < count / 2; i++) index.setSelector(`s${i}`, selectorOf(i));
  for (let i = 0; i < count; i++) index.setItem(`e${i}`, labelsOf(i));
  for (let i = count / 2; i < count; i++) index.setSelector(`s${i}`, selectorOf(i));
  index.work(unlimited);
  assert.equal(told.size, count);
  const { evaluations } = index.sizes;
  assert.ok(evaluations >= count && evaluations < 5 * count, `${evaluations} evaluations`);
});

test("LabelIndex finds candidates of a selector of several values and of a mere presence", () => {
  const { index, matches } = watchedIndex();
  index.setItem("e", new Map([["app", "b"]]));
  index.setSelector("in", parseSelector("app in {'a', 'b'} && !has(other)"));
  index.setSelector("has", parseSelector("has(app) || app == 'z'"));
  index.setSelector("nobody", parseSelector("app in {}"));
  assert.deepEqual(matches(), ["has e", "in e"]);
  index.setItem(
    "e",
    new Map([
      ["app", "b"],
      ["other", ""],
    ]),
  );
  assert.deepEqual(matches(), ["has e"]);
});
