import type { Resource } from "../meta.ts";
import type { LabelSelector } from "./kubernetes.ts";

/** The parts of `policy.networking.k8s.io/v1alpha2` ClusterNetworkPolicy that we read. */
export interface NamespacedPods {
  /** Absent: all namespaces. */
  readonly namespaceSelector?: LabelSelector;
  readonly podSelector: LabelSelector;
}

/** Exactly one field is given. */
export interface ClusterPolicySubject {
  readonly namespaces?: LabelSelector;
  readonly pods?: NamespacedPods;
}

/** Exactly one field is given. `networks` is only in egress rules. */
export interface ClusterPolicyPeer extends ClusterPolicySubject {
  readonly networks?: readonly string[];
}

export interface ClusterPolicyPort {
  readonly destinationPort: {
    readonly number?: number;
    readonly range?: { readonly start: number; readonly end: number };
  };
}

/** Exactly one field is given. */
export interface ClusterPolicyProtocol {
  readonly tcp?: ClusterPolicyPort;
  readonly udp?: ClusterPolicyPort;
  readonly sctp?: ClusterPolicyPort;
}

export type ClusterPolicyAction = "Accept" | "Deny" | "Pass";

export interface ClusterPolicyRule {
  readonly name?: string;
  readonly action: ClusterPolicyAction;
  /** Of an ingress rule. */
  readonly from?: readonly ClusterPolicyPeer[];
  /** Of an egress rule. */
  readonly to?: readonly ClusterPolicyPeer[];
  /** Absent: any. */
  readonly protocols?: readonly ClusterPolicyProtocol[];
}

export interface ClusterNetworkPolicySpec {
  readonly tier: "Admin" | "Baseline";
  /** 0 to 1000; the lowest is asked first. */
  readonly priority: number;
  readonly subject: ClusterPolicySubject;
  readonly ingress?: readonly ClusterPolicyRule[];
  readonly egress?: readonly ClusterPolicyRule[];
}

/** As the user writes it. Stored as GlobalNetworkPolicy "kcnp.default.<name>". */
export type ClusterNetworkPolicy = Resource<"ClusterNetworkPolicy", ClusterNetworkPolicySpec>;
