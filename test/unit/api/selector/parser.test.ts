import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { canonicalText } from "../../../../src/api/selector/canonical.ts";
import { maxSelectorDepth, parseSelector } from "../../../../src/api/selector/parser.ts";
import { maxLabelLength } from "../../../../src/api/selector/tokenizer.ts";
import { arbitrarySelector } from "../../../support/arbitrary-selector.ts";

/** What a user writes, and its canonical text (facts 4.3). */
const accepted: readonly (readonly [text: string, canonical: string])[] = [
  ["", "all()"],
  [" \t ", "all()"],
  ["all( )", "all()"],
  ["global()", "global()"],
  ["has( a )", "has(a)"],
  ["!has(a)", "!has(a)"],
  ["! has(a)", "!has(a)"],
  ["!!has(a)", "has(a)"],
  ["!!!has(a)", "!has(a)"],
  ["!(!has(a))", "has(a)"],
  ["a == 'v'", 'a == "v"'],
  ["a=='v'", 'a == "v"'],
  [`a == 'say "hi"'`, `a == 'say "hi"'`],
  [`a == "it's"`, `a == "it's"`],
  ["a != ''", 'a != ""'],
  ["a in { 'y', 'x', 'y' }", 'a in {"x", "y"}'],
  ["a in {'x',}", 'a in {"x"}'],
  ["a in {}", "a in {}"],
  ["a not in {'x'}", 'a not in {"x"}'],
  ["a not  \t in {'x'}", 'a not in {"x"}'],
  ["a contains 'x'", 'a contains "x"'],
  ["a starts  with 'x'", 'a starts with "x"'],
  ["a ends with'x'", 'a ends with "x"'],
  ["in in {'in'}", 'in in {"in"}'],
  ["has == 'x'", 'has == "x"'],
  ["not != 'x'", 'not != "x"'],
  ["all == 'x'", 'all == "x"'],
  ["projectcalico.org/namespace == 'a-b'", 'projectcalico.org/namespace == "a-b"'],
  ["((a == 'v'))", 'a == "v"'],
  ["a == 'v' && has(b)", '(a == "v" && has(b))'],
  ["has(a) && has(b) && has(c)", "(has(a) && has(b) && has(c))"],
  ["has(a) && (has(b) && has(c))", "(has(a) && (has(b) && has(c)))"],
  ["has(a) || has(b) && has(c)", "(has(a) || (has(b) && has(c)))"],
  ["(has(a) || has(b)) && has(c)", "((has(a) || has(b)) && has(c))"],
  ["!(has(a) || has(b))", "!(has(a) || has(b))"],
  ["!a == 'v'", '!a == "v"'],
];

for (const [text, canonical] of accepted) {
  test(`parseSelector(${JSON.stringify(text)}) is ${canonical}`, () => {
    assert.equal(canonicalText(parseSelector(text)), canonical);
  });
}

/** What is refused, and what the message must say. */
const refused: readonly (readonly [text: string, message: RegExp])[] = [
  ["a", /expected an operator at position 1/],
  ["a = 'v'", /an operator at position 2/],
  ["a == v", /a string in quotes at position 5/],
  ["a == 'v", /closing quote of the string at position 5/],
  ["a == 'v' b", /"&&", "\|\|" or the end at position 9/],
  ["a == 'v' &&", /at position 11/],
  ["a == 'v' & has(b)", /position 9/],
  ["has (a)", /an operator at position 4/],
  ["has(a", /"\)" after has\( at position 5/],
  ["has()", /a label name at position 4/],
  ["all(x)", /"\)" after all\(/],
  ["(has(a)", /"\)" at position 7/],
  ["has(a))", /at position 6/],
  ["a in 'x'", /"\{" at position 5/],
  ["a in {'x' 'y'}", /"," or "}" at position 10/],
  ["a in {,}", /at position 6/],
  ["a not 'x'", /an operator at position 2/],
  ["a starts 'x'", /an operator at position 2/],
  ["has(a)\n&& has(b)", /position 6/],
  ["has(a) & & has(b)", /position 7/],
  ["!", /at position 1/],
  ["ü == 'x'", /a label name at position 0/],
  [`has(${"a".repeat(maxLabelLength + 1)})`, /at most 512 characters at position 4/],
];

for (const [text, message] of refused) {
  test(`parseSelector(${JSON.stringify(text.slice(0, 40))}) is refused`, () => {
    assert.throws(() => parseSelector(text), { name: "SyntaxError", message });
  });
}

test("parseSelector() takes the longest label and the deepest nesting, and no more", () => {
  parseSelector(`has(${"a".repeat(maxLabelLength)})`);
  const nested = (depth: number) => `${"(".repeat(depth)}has(a)${")".repeat(depth)}`;
  parseSelector(nested(maxSelectorDepth));
  assert.throws(() => parseSelector(nested(maxSelectorDepth + 1)), /nested at most 200 deep/);
  assert.throws(() => parseSelector("(".repeat(1_000_000)), SyntaxError);
});

test("parseSelector() gives the selector of its canonical text, whose text is the same again", () => {
  fc.assert(
    fc.property(arbitrarySelector, (selector) => {
      const text = canonicalText(selector);
      assert.deepEqual(parseSelector(text), selector);
      assert.equal(canonicalText(parseSelector(text)), text);
    }),
  );
});

test("parseSelector() throws nothing but SyntaxError", () => {
  const fragment = fc.constantFrom(
    ..."a|'x'|\"|==|!=|in|not in|{|}|,|(|)|!|&&|has(|all()| |\n|contains".split("|"),
    "||",
    "ü",
  );
  fc.assert(
    fc.property(fc.array(fragment), (fragments) => {
      try {
        parseSelector(fragments.join(""));
      } catch (error) {
        assert.ok(error instanceof SyntaxError, String(error));
      }
    }),
  );
});
