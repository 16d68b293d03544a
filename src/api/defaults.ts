import type { AnyResource } from "./resource-of-kind.ts";
import type { IPPool, PoolUse } from "./resources/ip-pool.ts";
import type {
  GlobalNetworkPolicy,
  NetworkPolicy,
  NetworkPolicySpec,
  PolicyType,
  StagedGlobalNetworkPolicy,
  StagedNetworkPolicy,
  Tier,
  TierSpec,
} from "./resources/policy.ts";
import { defaultBlockSize } from "./schemas/pool-schema.ts";

export const defaultTier = "default";

/** Label that every policy carries, so that policies of a tier can be listed. */
export const tierLabel = "projectcalico.org/tier";

/** Tiers that always exist, and may not be otherwise (facts 2.5). */
export const fixedTiers: Readonly<Record<string, Required<TierSpec>>> = {
  default: { order: 1_000_000, defaultAction: "Deny" },
  "kube-admin": { order: 1_000, defaultAction: "Pass" },
  "kube-baseline": { order: 10_000_000, defaultAction: "Pass" },
};

/** The resource with the fields filled in that have a default (facts 2.3, 2.5). Idempotent. */
export function withDefaults(resource: AnyResource): AnyResource {
  switch (resource.kind) {
    case "IPPool":
      return poolWithDefaults(resource);
    case "NetworkPolicy":
    case "GlobalNetworkPolicy":
      return policyWithDefaults(resource);
    case "StagedNetworkPolicy":
    case "StagedGlobalNetworkPolicy": {
      const { stagedAction = "Set" } = resource.spec;
      const staged = { ...resource, spec: { ...resource.spec, stagedAction } } as typeof resource;
      return stagedAction === "Delete" ? staged : policyWithDefaults(staged);
    }
    case "StagedKubernetesNetworkPolicy": {
      const { stagedAction = "Set" } = resource.spec;
      return { ...resource, spec: { ...resource.spec, stagedAction } };
    }
    case "Tier":
      return tierWithDefaults(resource);
    default:
      return resource;
  }
}

/** The directions that a policy is about when it does not say: those that it has rules for. */
export function defaultPolicyTypes(spec: NetworkPolicySpec): readonly PolicyType[] {
  if ((spec.egress ?? []).length === 0) return ["Ingress"];
  return (spec.ingress ?? []).length === 0 ? ["Egress"] : ["Ingress", "Egress"];
}

function poolWithDefaults(pool: IPPool): IPPool {
  const { spec } = pool;
  const hasNamespaces = spec.namespaceSelector !== undefined && spec.namespaceSelector !== "";
  // A tunnel address belongs to no namespace.
  const allowedUses: readonly PoolUse[] = hasNamespaces ? ["Workload"] : ["Workload", "Tunnel"];
  return {
    ...pool,
    spec: {
      ...spec,
      blockSize: spec.blockSize ?? defaultBlockSize(spec.cidr),
      ipipMode: spec.ipipMode ?? "Never",
      vxlanMode: spec.vxlanMode ?? "Never",
      nodeSelector: spec.nodeSelector || "all()",
      allowedUses: (spec.allowedUses ?? []).length > 0 ? (spec.allowedUses ?? []) : allowedUses,
      assignmentMode: spec.assignmentMode ?? "Automatic",
    },
  };
}

function policyWithDefaults<
  P extends NetworkPolicy | GlobalNetworkPolicy | StagedNetworkPolicy | StagedGlobalNetworkPolicy,
>(policy: P): P {
  const { metadata, spec } = policy;
  const tier = spec.tier || defaultTier;
  const types = (spec.types ?? []).length > 0 ? spec.types : defaultPolicyTypes(spec);
  return {
    ...policy,
    metadata: { ...metadata, labels: { ...metadata.labels, [tierLabel]: tier } },
    spec: { ...spec, tier, types },
  };
}

function tierWithDefaults(tier: Tier): Tier {
  const fixed = Object.hasOwn(fixedTiers, tier.metadata.name)
    ? fixedTiers[tier.metadata.name]
    : undefined;
  return { ...tier, spec: { ...(fixed ?? { defaultAction: "Deny" }), ...tier.spec } };
}
