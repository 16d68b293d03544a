import type { Resource } from "../meta.ts";
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
