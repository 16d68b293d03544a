import { kubernetesPolicyOf, networkPolicyOf } from "../api/kubernetes/network-policy.ts";
import type { Policy } from "./cluster.ts";
import type { Direction } from "./verdict.ts";

/** A rule as its author wrote it. */
export interface WrittenRule {
  /** "spec.ingress[0]". */
  readonly path: string;
  readonly rule: unknown;
}

/**
 * The rule of a policy's author that became rule `index`. One rule of a Kubernetes NetworkPolicy becomes
 * one for each protocol and peer.
 */
export function writtenRule(policy: Policy, direction: Direction, index: number): WrittenRule {
  const field = direction === "Ingress" ? "ingress" : "egress";
  const original = policy.kind === "NetworkPolicy" ? kubernetesPolicyOf(policy) : undefined;
  if (original === undefined) {
    return { path: `spec.${field}[${index}]`, rule: policy.spec[field]?.[index] };
  }
  let before = 0;
  for (const [i, rule] of (original.spec[field] ?? []).entries()) {
    const alone = networkPolicyOf({ ...original, spec: { ...original.spec, [field]: [rule] } });
    before += alone.spec[field]?.length ?? 0;
    if (index < before) return { path: `spec.${field}[${i}]`, rule };
  }
  return { path: `spec.${field}`, rule: undefined };
}
