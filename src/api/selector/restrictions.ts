import type { Selector } from "./ast.ts";

/** What every match of a selector has in common, for one label. */
export interface LabelRestriction {
  readonly mustBePresent?: boolean;
  readonly mustBeAbsent?: boolean;
  /** The label must have one of these values. */
  readonly values?: ReadonlySet<string>;
}

export type LabelRestrictions = ReadonlyMap<string, LabelRestriction>;

const none: LabelRestrictions = new Map();

/**
 * Necessary conditions of a match, label by label, by which an index finds candidates without trying
 * every endpoint (facts 4.4). Never sufficient: a candidate is still evaluated.
 */
export function labelRestrictions(selector: Selector): LabelRestrictions {
  switch (selector.kind) {
    case "has":
    case "contains":
    case "startsWith":
    case "endsWith":
      return new Map([[selector.label, { mustBePresent: true }]]);
    case "equals":
      return oneOf(selector.label, [selector.value]);
    case "in":
      return oneOf(selector.label, selector.values);
    case "not":
      return selector.operand.kind === "has"
        ? new Map([[selector.operand.label, { mustBeAbsent: true }]])
        : none;
    case "and":
      return selector.operands.map(labelRestrictions).reduce(bothHold);
    case "or":
      return selector.operands.map(labelRestrictions).reduce(eitherHolds);
    default:
      return none;
  }
}

function oneOf(label: string, values: readonly string[]): LabelRestrictions {
  return new Map([[label, { mustBePresent: true, values: new Set(values) }]]);
}

function bothHold(a: LabelRestrictions, b: LabelRestrictions): LabelRestrictions {
  const merged = new Map(a);
  for (const [label, theirs] of b) {
    const ours = merged.get(label);
    if (ours === undefined) {
      merged.set(label, theirs);
      continue;
    }
    merged.set(label, {
      ...ours,
      ...theirs,
      ...(ours.values !== undefined && theirs.values !== undefined
        ? { values: ours.values.intersection(theirs.values) }
        : {}),
    });
  }
  return merged;
}

function eitherHolds(a: LabelRestrictions, b: LabelRestrictions): LabelRestrictions {
  const merged = new Map<string, LabelRestriction>();
  for (const [label, ours] of a) {
    const theirs = b.get(label);
    if (theirs === undefined) continue;
    const restriction: LabelRestriction = {
      ...(ours.mustBePresent && theirs.mustBePresent ? { mustBePresent: true } : {}),
      ...(ours.mustBeAbsent && theirs.mustBeAbsent ? { mustBeAbsent: true } : {}),
      ...(ours.values !== undefined && theirs.values !== undefined
        ? { values: ours.values.union(theirs.values) }
        : {}),
    };
    if (Object.keys(restriction).length > 0) merged.set(label, restriction);
  }
  return merged;
}
