import * as fc from "fast-check";
import { and, not, type Selector, sortedSet } from "../../src/api/selector/ast.ts";

const label: fc.Arbitrary<string> = fc.constantFrom("a", "b", "c", "in", "has", "app/x.y-z");
/** Without quotes of one kind: the language has no escapes. */
const value: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom("", "x", "y", "xy", "it's", 'say "hi"'),
  fc.string().map((text) => text.replaceAll('"', "")),
);

const leaf: fc.Arbitrary<Selector> = fc.oneof(
  fc.constant<Selector>({ kind: "all" }),
  fc.constant<Selector>({ kind: "global" }),
  label.map((name): Selector => ({ kind: "has", label: name })),
  fc
    .tuple(
      fc.constantFrom("equals", "notEquals", "contains", "startsWith", "endsWith"),
      label,
      value,
    )
    .map(([kind, name, text]): Selector => ({ kind, label: name, value: text })),
  fc
    .tuple(fc.constantFrom("in", "notIn"), label, fc.array(value, { maxLength: 4 }))
    .map(([kind, name, values]): Selector => ({ kind, label: name, values: sortedSet(values) })),
);

/** Any selector that the parser can give. */
export const arbitrarySelector: fc.Arbitrary<Selector> = fc.letrec<{ selector: Selector }>(
  (tie) => ({
    selector: fc.oneof(
      { maxDepth: 4 },
      leaf,
      tie("selector").map(not),
      fc.array(tie("selector"), { minLength: 2, maxLength: 3 }).map(and),
      fc
        .array(tie("selector"), { minLength: 2, maxLength: 3 })
        .map((operands): Selector => ({ kind: "or", operands })),
    ),
  }),
).selector;

/** Labels that the selectors of `arbitrarySelector` have a chance to match. */
export const arbitraryLabels: fc.Arbitrary<Record<string, string>> = fc.dictionary(label, value, {
  maxKeys: 5,
});
