import { defaultTier } from "./defaults.ts";
import type { GlobalNetworkPolicy, NetworkPolicy } from "./resources/policy.ts";

/** Short kinds of facts 4.6, of the policies that there are here. */
export type PolicyShortKind = "np" | "gnp" | "knp" | "kcnp";

/** What a policy is called in chains, comments and metrics. */
export interface PolicyIdentity {
  /** "<shortkind>/<namespace>/<name>", or "<shortkind>/<name>" for a global one. Unique. */
  readonly id: string;
  readonly shortKind: PolicyShortKind;
  readonly namespace?: string;
  /** As the user wrote it: without "knp.default." or "kcnp.default.". */
  readonly name: string;
  readonly tier: string;
}

/** A NetworkPolicy of this prefix is a Kubernetes one, stored in our form (facts 2.6). */
export const kubernetesPolicyPrefix = "knp.default.";

/**
 * A GlobalNetworkPolicy of this prefix is a Kubernetes ClusterNetworkPolicy, stored in our form. No user
 * can give a policy three labels for a name.
 */
export const clusterPolicyPrefix = "kcnp.default.";

/** True for what was written as a policy of Kubernetes, of either kind. */
export function isKubernetesPolicy({
  kind,
  name,
}: {
  readonly kind: string;
  readonly name: string;
}): boolean {
  return (
    (kind === "NetworkPolicy" && name.startsWith(kubernetesPolicyPrefix)) ||
    (kind === "GlobalNetworkPolicy" && name.startsWith(clusterPolicyPrefix))
  );
}

export function policyIdentity(policy: NetworkPolicy | GlobalNetworkPolicy): PolicyIdentity {
  const { name } = policy.metadata;
  const tier = policy.spec.tier || defaultTier;
  if (policy.kind === "GlobalNetworkPolicy") {
    if (name.startsWith(clusterPolicyPrefix)) {
      const original = name.slice(clusterPolicyPrefix.length);
      return { id: `kcnp/${original}`, shortKind: "kcnp", name: original, tier };
    }
    return { id: `gnp/${name}`, shortKind: "gnp", name, tier };
  }
  const namespace = policy.metadata.namespace ?? "default";
  if (!name.startsWith(kubernetesPolicyPrefix)) {
    return { id: `np/${namespace}/${name}`, shortKind: "np", namespace, name, tier };
  }
  const original = name.slice(kubernetesPolicyPrefix.length);
  return {
    id: `knp/${namespace}/${original}`,
    shortKind: "knp",
    namespace,
    name: original,
    tier,
  };
}
