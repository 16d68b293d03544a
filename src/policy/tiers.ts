import { policyIdentity } from "../api/policy-identity.ts";
import type { Tier } from "../api/resources/policy.ts";
import { compareText } from "../lib/collections.ts";
import type { Policy, PolicyCluster } from "./cluster.ts";
import type { Labelled } from "./population.ts";
import { policySelects } from "./selection.ts";
import type { Direction, Stage } from "./verdict.ts";

/** Policies of one tier that an endpoint has for one direction, in the order in which they are asked. */
export interface AppliedTier {
  readonly name: string;
  readonly defaultAction: "Deny" | "Pass";
  readonly policies: readonly Policy[];
}

/**
 * Tiers with a policy for the endpoint: those that exist before those that do not, then by order (none
 * is last), then by name. A tier that does not exist denies at its end (facts 4.2).
 */
export function tiersOf(
  endpoint: Labelled,
  { direction, stage }: { readonly direction: Direction; readonly stage: Stage },
  cluster: PolicyCluster,
): AppliedTier[] {
  const applied = cluster.policies.filter(
    (policy) =>
      typesOf(policy).includes(direction) &&
      isAsked(policy, endpoint, stage) &&
      appliesTo(policy, endpoint),
  );
  const names = [...new Set(applied.map(tierName))];
  const tierOf = (name: string) => cluster.tiers.find(({ metadata }) => metadata.name === name);
  return names
    .map((name) => ({ name, tier: tierOf(name) }))
    .sort((a, b) => compareTiers(a.tier, b.tier) || compareText(a.name, b.name))
    .map(({ name, tier }) => ({
      name,
      defaultAction: tier?.spec.defaultAction ?? "Deny",
      policies: applied.filter((policy) => tierName(policy) === name).sort(comparePolicies),
    }));
}

/** A selector that cannot be read selects nothing. */
export function appliesTo(policy: Policy, { labels }: Labelled): boolean {
  try {
    return policySelects(policy, labels);
  } catch {
    return false;
  }
}

/** The directions that a policy is about: without types, those that it has rules for (facts 2.5). */
export function typesOf({ spec }: Policy): readonly Direction[] {
  if (spec.types !== undefined && spec.types.length > 0) return spec.types;
  const egress = (spec.egress ?? []).length > 0;
  const ingress = (spec.ingress ?? []).length > 0 || !egress;
  return [...(ingress ? (["Ingress"] as const) : []), ...(egress ? (["Egress"] as const) : [])];
}

export function tierName(policy: Policy): string {
  return policy.spec.tier || "default";
}

/** Pods know normal policies only; a host endpoint asks each kind in its place (facts 4.11). */
function isAsked(policy: Policy, { resource }: Labelled, stage: Stage): boolean {
  const { doNotTrack, preDNAT, applyOnForward } =
    policy.kind === "GlobalNetworkPolicy" ? policy.spec : {};
  if (stage === "untracked") return doNotTrack === true;
  if (stage === "preDNAT") return preDNAT === true;
  if (doNotTrack === true || preDNAT === true) return false;
  return resource.kind === "WorkloadEndpoint" || stage === "normal" || applyOnForward === true;
}

function compareTiers(a: Tier | undefined, b: Tier | undefined): number {
  return (
    Number(a === undefined) - Number(b === undefined) || compareOrder(a?.spec.order, b?.spec.order)
  );
}

export function comparePolicies(a: Policy, b: Policy): number {
  return compareOrder(a.spec.order, b.spec.order) || compareText(tieText(a), tieText(b));
}

function compareOrder(a: number | null | undefined, b: number | null | undefined): number {
  const [left, right] = [a ?? Number.POSITIVE_INFINITY, b ?? Number.POSITIVE_INFINITY];
  return left === right ? 0 : left - right;
}

function tieText(policy: Policy): string {
  const { name } = policyIdentity(policy);
  return `${name}/${policy.metadata.namespace ?? ""}/${policy.kind}`;
}
