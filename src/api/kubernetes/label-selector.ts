import { assertNever } from "../../lib/brand.ts";
import { compareText } from "../../lib/collections.ts";
import type { LabelSelector } from "../resources/kubernetes.ts";

/** Term that every pod matches and no other endpoint does. */
const orchestratorTerm = "projectcalico.org/orchestrator == 'k8s'";

/** Selector of pods by their own labels. No label selector is every pod. */
export function podSelectorText(selector: LabelSelector | undefined): string {
  return [orchestratorTerm, ...terms(selector)].join(" && ");
}

/** Selector of namespaces: "" when there is none, `all()` when it has no terms. */
export function namespaceSelectorText(selector: LabelSelector | undefined): string {
  if (selector === undefined) return "";
  return terms(selector).join(" && ") || "all()";
}

/** matchLabels in order of their names, then matchExpressions as written (facts 2.6). */
function terms(selector: LabelSelector | undefined): string[] {
  const labels = Object.entries(selector?.matchLabels ?? {})
    .sort(([a], [b]) => compareText(a, b))
    .map(([label, value]) => `${label} == '${value}'`);
  const expressions = (selector?.matchExpressions ?? []).map(expressionTerm);
  return [...labels, ...expressions];
}

type Expression = NonNullable<LabelSelector["matchExpressions"]>[number];

function expressionTerm({ key, operator, values = [] }: Expression): string {
  const set = `{ ${values.map((value) => `'${value}'`).join(", ")} }`;
  switch (operator) {
    case "In":
      return `${key} in ${set}`;
    case "NotIn":
      return `${key} not in ${set}`;
    case "Exists":
      return `has(${key})`;
    case "DoesNotExist":
      return `! has(${key})`;
    default:
      return assertNever(operator);
  }
}
