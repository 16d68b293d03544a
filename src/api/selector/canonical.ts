import { assertNever } from "../../lib/brand.ts";
import type { Selector } from "./ast.ts";

/**
 * The one text of a selector, from which the ids of IP sets are made (facts 4.3): single spaces,
 * double quotes unless the value holds one, sets sorted, every "and" and "or" in parentheses.
 * Parsing it gives the selector again.
 */
export function canonicalText(selector: Selector): string {
  switch (selector.kind) {
    case "all":
      return "all()";
    case "global":
      return "global()";
    case "has":
      return `has(${selector.label})`;
    case "equals":
      return `${selector.label} == ${quoted(selector.value)}`;
    case "notEquals":
      return `${selector.label} != ${quoted(selector.value)}`;
    case "contains":
      return `${selector.label} contains ${quoted(selector.value)}`;
    case "startsWith":
      return `${selector.label} starts with ${quoted(selector.value)}`;
    case "endsWith":
      return `${selector.label} ends with ${quoted(selector.value)}`;
    case "in":
      return `${selector.label} in {${selector.values.map(quoted).join(", ")}}`;
    case "notIn":
      return `${selector.label} not in {${selector.values.map(quoted).join(", ")}}`;
    case "not":
      return `!${canonicalText(selector.operand)}`;
    case "and":
      return `(${selector.operands.map(canonicalText).join(" && ")})`;
    case "or":
      return `(${selector.operands.map(canonicalText).join(" || ")})`;
    default:
      return assertNever(selector);
  }
}

/** The language has no escapes: a value holds one kind of quote at most. */
function quoted(value: string): string {
  return value.includes('"') ? `'${value}'` : `"${value}"`;
}
