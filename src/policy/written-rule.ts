import { clusterPolicyOf, globalPolicyOf } from "../api/kubernetes/cluster-network-policy.ts";
import { kubernetesPolicyOf, networkPolicyOf } from "../api/kubernetes/network-policy.ts";
import type { Rule } from "../api/resources/rule.ts";
import type { Policy } from "./cluster.ts";
import type { Direction } from "./verdict.ts";

/** A rule as its author wrote it. */
export interface WrittenRule {
  /** "spec.ingress[0]". */
  readonly path: string;
  readonly rule: unknown;
}

/**
 * The rule of a policy's author that became rule `index`. One rule of a Kubernetes policy becomes one
 * for each protocol and peer.
 */
export function writtenRule(policy: Policy, direction: Direction, index: number): WrittenRule {
  const field = direction === "Ingress" ? "ingress" : "egress";
  const authored = authoredRules(policy, field);
  if (authored === undefined) {
    return { path: `spec.${field}[${index}]`, rule: policy.spec[field]?.[index] };
  }
  let before = 0;
  for (const [i, { rule, count }] of authored.entries()) {
    before += count;
    if (index < before) return { path: `spec.${field}[${i}]`, rule };
  }
  return { path: `spec.${field}`, rule: undefined };
}

/** The rules of a Kubernetes policy, and how many rules each became; undefined for one of Calico. */
function authoredRules(
  policy: Policy,
  field: "ingress" | "egress",
): readonly { readonly rule: unknown; readonly count: number }[] | undefined {
  if (policy.kind === "NetworkPolicy") {
    const original = kubernetesPolicyOf(policy);
    if (original === undefined) return undefined;
    const alone = (rule: object) =>
      networkPolicyOf({ ...original, spec: { ...original.spec, [field]: [rule] } });
    return counted(original.spec[field], (rule) => alone(rule).spec[field]);
  }
  const original = clusterPolicyOf(policy);
  if (original === undefined) return undefined;
  const alone = (rule: object) =>
    globalPolicyOf({ ...original, spec: { ...original.spec, [field]: [rule] } });
  return counted(original.spec[field], (rule) => alone(rule).spec[field]);
}

function counted(
  rules: readonly object[] = [],
  convert: (rule: object) => readonly Rule[] | undefined,
): { readonly rule: unknown; readonly count: number }[] {
  return rules.map((rule) => ({ rule, count: convert(rule)?.length ?? 0 }));
}
