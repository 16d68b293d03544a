import { assertNever } from "../../lib/brand.ts";
import type { Selector } from "./ast.ts";

/** Labels as a Map, as anything with its `get`, or as a plain object. */
export type LabelSource =
  | { get(label: string): string | undefined }
  | Readonly<Record<string, string>>;

/**
 * True when the labels match. A missing label fails every test but `!=`, `not in` and `!`
 * (facts 4.4). `global()` is true: it means something only before scope.ts has rewritten it.
 */
export function evaluateSelector(selector: Selector, labels: LabelSource): boolean {
  switch (selector.kind) {
    case "all":
    case "global":
      return true;
    case "has":
      return labelOf(labels, selector.label) !== undefined;
    case "equals":
      return labelOf(labels, selector.label) === selector.value;
    case "notEquals":
      return labelOf(labels, selector.label) !== selector.value;
    case "contains":
      return labelOf(labels, selector.label)?.includes(selector.value) === true;
    case "startsWith":
      return labelOf(labels, selector.label)?.startsWith(selector.value) === true;
    case "endsWith":
      return labelOf(labels, selector.label)?.endsWith(selector.value) === true;
    case "in":
      return isOneOf(labelOf(labels, selector.label), selector.values);
    case "notIn":
      return !isOneOf(labelOf(labels, selector.label), selector.values);
    case "not":
      return !evaluateSelector(selector.operand, labels);
    case "and":
      // Loops: every() and some() took twice as long, on the hottest path of felix.
      for (const operand of selector.operands) if (!evaluateSelector(operand, labels)) return false;
      return true;
    case "or":
      for (const operand of selector.operands) if (evaluateSelector(operand, labels)) return true;
      return false;
    default:
      return assertNever(selector);
  }
}

function isOneOf(value: string | undefined, values: readonly string[]): boolean {
  return value !== undefined && values.includes(value);
}

function labelOf(labels: LabelSource, label: string): string | undefined {
  if (typeof labels.get === "function") return labels.get(label);
  const record = labels as Readonly<Record<string, string>>;
  return Object.hasOwn(record, label) ? record[label] : undefined;
}
