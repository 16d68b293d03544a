import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { not } from "../../../../src/api/selector/ast.ts";
import { evaluateSelector } from "../../../../src/api/selector/evaluate.ts";
import { parseSelector } from "../../../../src/api/selector/parser.ts";
import { labelRestrictions } from "../../../../src/api/selector/restrictions.ts";
import { arbitraryLabels, arbitrarySelector } from "../../../support/arbitrary-selector.ts";

const labels = { app: "web", empty: "" };

const rows: readonly (readonly [selector: string, matches: boolean])[] = [
  ["", true],
  ["all()", true],
  ["global()", true],
  ["!all()", false],
  ["app == 'web'", true],
  ["app == 'we'", false],
  ["nil == ''", false],
  ["empty == ''", true],
  ["app != 'web'", false],
  ["app != 'db'", true],
  ["nil != 'web'", true],
  ["has(app)", true],
  ["has(empty)", true],
  ["has(nil)", false],
  ["has(constructor)", false],
  ["app in {'web', 'db'}", true],
  ["app in {}", false],
  ["nil in {''}", false],
  ["app not in {'web'}", false],
  ["app not in {}", true],
  ["nil not in {'web'}", true],
  ["app contains 'e'", true],
  ["app contains 'x'", false],
  ["nil contains ''", false],
  ["app starts with 'we'", true],
  ["app starts with 'eb'", false],
  ["app ends with 'eb'", true],
  ["app ends with 'we'", false],
  ["nil ends with ''", false],
  ["!app == 'web'", false],
  ["!(nil in {'web'})", true],
  ["has(app) && has(nil)", false],
  ["has(nil) || has(app)", true],
  ["has(app) || has(nil) && has(nil)", true],
];

for (const [selector, matches] of rows) {
  test(`evaluateSelector() of ${JSON.stringify(selector)} is ${matches}`, () => {
    assert.equal(evaluateSelector(parseSelector(selector), labels), matches);
    assert.equal(
      evaluateSelector(parseSelector(selector), new Map(Object.entries(labels))),
      matches,
    );
  });
}

test("evaluateSelector() reads a label named get", () => {
  assert.equal(evaluateSelector(parseSelector("get == 'x'"), { get: "x" }), true);
});

test("a negation matches what the selector does not", () => {
  fc.assert(
    fc.property(arbitrarySelector, arbitraryLabels, (selector, given) => {
      assert.equal(evaluateSelector(not(selector), given), !evaluateSelector(selector, given));
    }),
  );
});

test("labelRestrictions() hold for all labels that match", () => {
  fc.assert(
    fc.property(arbitrarySelector, arbitraryLabels, (selector, given) => {
      fc.pre(evaluateSelector(selector, given));
      for (const [label, restriction] of labelRestrictions(selector)) {
        const value = given[label];
        assert.ok(!restriction.mustBePresent || value !== undefined);
        assert.ok(!restriction.mustBeAbsent || value === undefined);
        assert.ok(
          restriction.values === undefined ||
            (value !== undefined && restriction.values.has(value)),
        );
      }
    }),
    { numRuns: 1000 },
  );
});

const restrictionRows: readonly (readonly [selector: string, restrictions: object])[] = [
  ["a == 'x'", { a: { mustBePresent: true, values: new Set(["x"]) } }],
  ["a != 'x'", {}],
  ["!has(a)", { a: { mustBeAbsent: true } }],
  ["a in {'x','y'} && a in {'y','z'}", { a: { mustBePresent: true, values: new Set(["y"]) } }],
  ["a == 'x' || a == 'y'", { a: { mustBePresent: true, values: new Set(["x", "y"]) } }],
  ["a == 'x' || has(a)", { a: { mustBePresent: true } }],
  ["a == 'x' || b == 'x'", {}],
  [
    "has(a) && b == 'x'",
    { a: { mustBePresent: true }, b: { mustBePresent: true, values: new Set(["x"]) } },
  ],
];

for (const [selector, restrictions] of restrictionRows) {
  test(`labelRestrictions() of ${selector}`, () => {
    assert.deepEqual(Object.fromEntries(labelRestrictions(parseSelector(selector))), restrictions);
  });
}
