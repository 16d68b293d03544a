import { fixedTiers } from "../../api/defaults.ts";
import type {
  GlobalNetworkPolicy,
  GlobalNetworkPolicySpec,
  NetworkPolicy,
  Tier,
  TierSpec,
} from "../../api/resources/policy.ts";
import { compareText } from "../../lib/collections.ts";
import type { EndpointTier, HostEndpointTiers } from "./updates.ts";

/** An active policy as ordering needs it. */
export interface OrderedPolicy {
  readonly id: string;
  readonly tier: string;
  readonly order: number | undefined;
  /** "name/namespace/kind": breaks ties (facts 4.2). */
  readonly sortText: string;
  readonly ingress: boolean;
  readonly egress: boolean;
  /** Where a packet meets it: before connection tracking, before DNAT, or in the filter table. */
  readonly stage: "untracked" | "preDnat" | "normal";
  /** At a host endpoint, also for what is only forwarded. */
  readonly applyOnForward: boolean;
}

export function orderedPolicy(
  policy: NetworkPolicy | GlobalNetworkPolicy,
  identity: { readonly id: string; readonly tier: string; readonly name: string },
): OrderedPolicy {
  const { spec, metadata } = policy;
  const types = spec.types ?? [];
  const hasEgress = (spec.egress ?? []).length > 0;
  const hasIngress = (spec.ingress ?? []).length > 0;
  const global: GlobalNetworkPolicySpec = policy.kind === "GlobalNetworkPolicy" ? policy.spec : {};
  const tracked = global.preDNAT === true ? "preDnat" : "normal";
  return {
    id: identity.id,
    tier: identity.tier,
    order: spec.order ?? undefined,
    sortText: `${identity.name}/${metadata.namespace ?? ""}/${policy.kind}`,
    ingress: types.length > 0 ? types.includes("Ingress") : hasIngress || !hasEgress,
    egress: types.length > 0 ? types.includes("Egress") : hasEgress,
    stage: global.doNotTrack === true ? "untracked" : tracked,
    applyOnForward: global.applyOnForward === true,
  };
}

/** Before tracking and DNAT no tier drops: the later stages still have a say. */
export function hostEndpointTiers(
  policies: readonly OrderedPolicy[],
  tiers: ReadonlyMap<string, Tier>,
): HostEndpointTiers {
  const normal = policies.filter(({ stage }) => stage === "normal");
  const passing = (chosen: readonly OrderedPolicy[]) =>
    endpointTiers(chosen, tiers).map((tier) => ({ ...tier, defaultAction: "Pass" as const }));
  const preDnat = policies.filter(({ stage, ingress }) => stage === "preDnat" && ingress);
  return {
    tiers: endpointTiers(normal, tiers),
    forwardTiers: endpointTiers(
      normal.filter(({ applyOnForward }) => applyOnForward),
      tiers,
    ),
    untrackedTiers: passing(policies.filter(({ stage }) => stage === "untracked")),
    preDnatTiers: passing(preDnat.map((policy) => ({ ...policy, egress: false }))),
  };
}

/** Untracked and pre-DNAT policies are for host endpoints. */
export function workloadTiers(
  policies: readonly OrderedPolicy[],
  tiers: ReadonlyMap<string, Tier>,
): EndpointTier[] {
  return endpointTiers(
    policies.filter(({ stage }) => stage === "normal"),
    tiers,
  );
}

/**
 * Tiers that apply to one endpoint, with its policies in order of evaluation: tiers that exist before
 * those that do not, then by order (none is last), then by name. A tier that does not exist drops what
 * its policies let through: fail closed (facts 4.2). The tiers that always exist are as they must be,
 * whatever the datastore holds (facts 2.5).
 */
export function endpointTiers(
  policies: readonly OrderedPolicy[],
  tiers: ReadonlyMap<string, Tier>,
): EndpointTier[] {
  const specOf = (name: string): TierSpec | undefined =>
    Object.hasOwn(fixedTiers, name) ? fixedTiers[name] : tiers.get(name)?.spec;
  const names = [...new Set(policies.map(({ tier }) => tier))].sort((a, b) => {
    const [left, right] = [specOf(a), specOf(b)];
    return (
      Number(left === undefined) - Number(right === undefined) ||
      compareOrder(left?.order ?? undefined, right?.order ?? undefined) ||
      compareText(a, b)
    );
  });
  const sorted = policies.toSorted(
    (a, b) => compareOrder(a.order, b.order) || compareText(a.sortText, b.sortText),
  );
  return names.map((name) => {
    const ofTier = sorted.filter(({ tier }) => tier === name);
    return {
      name,
      defaultAction: specOf(name)?.defaultAction ?? "Deny",
      ingress: ofTier.filter(({ ingress }) => ingress).map(({ id }) => id),
      egress: ofTier.filter(({ egress }) => egress).map(({ id }) => id),
    };
  });
}

function compareOrder(a: number | undefined, b: number | undefined): number {
  if (a === b) return 0;
  if (a === undefined) return 1;
  return b === undefined || a < b ? -1 : 1;
}
