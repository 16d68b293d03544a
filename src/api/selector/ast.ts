/** Operators that compare one label with one value. */
export type ValueOperator = "equals" | "notEquals" | "contains" | "startsWith" | "endsWith";

/** Operators that compare one label with a set of values. */
export type SetOperator = "in" | "notIn";

/**
 * A parsed selector (facts 4.4). An "and" or "or" has two operands or more, and keeps the nesting
 * that parentheses gave it; a "not" never holds a "not".
 */
export type Selector =
  | { readonly kind: "all" }
  | { readonly kind: "global" }
  | { readonly kind: "has"; readonly label: string }
  | { readonly kind: ValueOperator; readonly label: string; readonly value: string }
  /** `values` are sorted and unique. */
  | { readonly kind: SetOperator; readonly label: string; readonly values: readonly string[] }
  | { readonly kind: "not"; readonly operand: Selector }
  | { readonly kind: "and" | "or"; readonly operands: readonly Selector[] };

export const all: Selector = { kind: "all" };

export function has(label: string): Selector {
  return { kind: "has", label };
}

export function equals(label: string, value: string): Selector {
  return { kind: "equals", label, value };
}

export function inSet(label: string, values: Iterable<string>): Selector {
  return { kind: "in", label, values: sortedSet(values) };
}

/** Negation; of a negation, what it negates. */
export function not(operand: Selector): Selector {
  return operand.kind === "not" ? operand.operand : { kind: "not", operand };
}

/** Conjunction of the operands, one level; of none `all()`, of one that one. */
export function and(operands: readonly Selector[]): Selector {
  const [first = all, second] = operands;
  return second === undefined ? first : { kind: "and", operands };
}

/** The selector with every leaf (what is not "not", "and" or "or") replaced. */
export function mapLeaves(selector: Selector, replace: (leaf: Selector) => Selector): Selector {
  switch (selector.kind) {
    case "not":
      return not(mapLeaves(selector.operand, replace));
    case "and":
    case "or":
      return {
        kind: selector.kind,
        operands: selector.operands.map((operand) => mapLeaves(operand, replace)),
      };
    default:
      return replace(selector);
  }
}

export function sortedSet(values: Iterable<string>): string[] {
  return [...new Set(values)].sort();
}
