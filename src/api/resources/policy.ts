import type { Resource } from "../meta.ts";
import type { KubernetesNetworkPolicySpec } from "./kubernetes.ts";
import type { Rule } from "./rule.ts";

export type PolicyType = "Ingress" | "Egress";

export interface NetworkPolicySpec {
  readonly tier?: string;
  /** Absent: after all that have one. */
  readonly order?: number;
  readonly selector?: string;
  readonly types?: readonly PolicyType[];
  readonly ingress?: readonly Rule[];
  readonly egress?: readonly Rule[];
  readonly serviceAccountSelector?: string;
  readonly performanceHints?: readonly "AssumeNeededOnEveryNode"[];
}

export interface GlobalNetworkPolicySpec extends NetworkPolicySpec {
  readonly namespaceSelector?: string;
  readonly doNotTrack?: boolean;
  readonly preDNAT?: boolean;
  readonly applyOnForward?: boolean;
}

export type NetworkPolicy = Resource<"NetworkPolicy", NetworkPolicySpec>;
export type GlobalNetworkPolicy = Resource<"GlobalNetworkPolicy", GlobalNetworkPolicySpec>;

/** What a staged policy would do to the policy of its name. "Set" when absent. */
export type StagedAction = "Set" | "Delete" | "Learn" | "Ignore";

interface Staged {
  readonly stagedAction?: StagedAction;
}

/** Policies to look at, never enforced (facts 2.5). */
export type StagedNetworkPolicy = Resource<"StagedNetworkPolicy", NetworkPolicySpec & Staged>;
export type StagedGlobalNetworkPolicy = Resource<
  "StagedGlobalNetworkPolicy",
  GlobalNetworkPolicySpec & Staged
>;
export type StagedKubernetesNetworkPolicy = Resource<
  "StagedKubernetesNetworkPolicy",
  KubernetesNetworkPolicySpec & Staged
>;

export interface TierSpec {
  readonly order?: number;
  readonly defaultAction?: "Deny" | "Pass";
}
export type Tier = Resource<"Tier", TierSpec>;

export interface ProfileSpec {
  readonly ingress?: readonly Rule[];
  readonly egress?: readonly Rule[];
  readonly labelsToApply?: Readonly<Record<string, string>>;
}
export type Profile = Resource<"Profile", ProfileSpec>;
