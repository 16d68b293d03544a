import { groupBy } from "../../lib/collections.ts";
import { type Prefix, prefixFamily } from "../../lib/prefix.ts";
import { withDefaults } from "../defaults.ts";
import { calicoApiVersion } from "../meta.ts";
import { clusterPolicyPrefix } from "../policy-identity.ts";
import type {
  ClusterNetworkPolicy,
  ClusterNetworkPolicySpec,
  ClusterPolicyAction,
  ClusterPolicyPeer,
  ClusterPolicyPort,
  ClusterPolicyProtocol,
  ClusterPolicyRule,
  ClusterPolicySubject,
} from "../resources/cluster-network-policy.ts";
import type { KubernetesPolicyPort } from "../resources/kubernetes.ts";
import type { GlobalNetworkPolicy } from "../resources/policy.ts";
import type { EntityRule, Rule, RuleAction } from "../resources/rule.ts";
import { clusterPolicyHead, clusterPolicyRules } from "../schemas/cluster-policy-schema.ts";
import type { Report } from "../schemas/schema.ts";
import { problemsError } from "../validate.ts";
import { namespaceSelectorText, podSelectorText } from "./label-selector.ts";
import { egressRule, ingressRule, rulesOf } from "./policy-rules.ts";
import { storedMetadata, writtenForm } from "./written-form.ts";

export const clusterPolicyApiVersion = "policy.networking.k8s.io/v1alpha2";

const tierOf = { Admin: "kube-admin", Baseline: "kube-baseline" } as const;
const actionOf: Readonly<Record<ClusterPolicyAction, RuleAction>> = {
  Accept: "Allow",
  Deny: "Deny",
  Pass: "Pass",
};

/**
 * A Kubernetes ClusterNetworkPolicy as GlobalNetworkPolicy "kcnp.default.<name>" (facts 2.6), of which
 * an API server may know more than we: a rule that cannot be understood fails closed.
 *
 * @throws {InputError} without a tier, a priority and a subject: then it is no policy.
 */
export function globalPolicyOf(policy: ClusterNetworkPolicy): GlobalNetworkPolicy {
  const { metadata } = policy;
  const spec = checkedHead(policy);
  const converted: GlobalNetworkPolicy = {
    apiVersion: calicoApiVersion,
    kind: "GlobalNetworkPolicy",
    metadata: storedMetadata(metadata, clusterPolicyPrefix, policy.spec),
    spec: {
      tier: tierOf[spec.tier],
      order: spec.priority,
      ...podsOf(spec.subject, podSelectorText(undefined)),
      ingress: (spec.ingress ?? []).flatMap((rule) => closedRules(rule, "ingress")),
      egress: (spec.egress ?? []).flatMap((rule) => closedRules(rule, "egress")),
    },
  };
  return withDefaults(converted) as GlobalNetworkPolicy;
}

/** The ClusterNetworkPolicy as it was written, or undefined when `policy` was not made of one. */
export function clusterPolicyOf(policy: GlobalNetworkPolicy): ClusterNetworkPolicy | undefined {
  const written = writtenForm(policy.metadata, clusterPolicyPrefix);
  if (written === undefined) return undefined;
  return {
    apiVersion: clusterPolicyApiVersion,
    kind: "ClusterNetworkPolicy",
    metadata: written.metadata,
    spec: written.spec as ClusterNetworkPolicySpec,
  };
}

function checkedHead({ metadata, spec }: ClusterNetworkPolicy): ClusterNetworkPolicySpec {
  const report: Report = { problems: [], unknownFields: "keep" };
  const checked = clusterPolicyHead(spec, "spec", report);
  if (report.problems.length === 0) return checked as ClusterNetworkPolicySpec;
  throw problemsError(`ClusterNetworkPolicy "${metadata.name}"`, report.problems);
}

/** The rules of one rule; of a broken one, nothing that accepts and all that denies (facts 2.6). */
function closedRules(written: ClusterPolicyRule, direction: "ingress" | "egress"): Rule[] {
  const report: Report = { problems: [], unknownFields: "refuse" };
  const rule = clusterPolicyRules[direction](written, "", report) as ClusterPolicyRule;
  if (report.problems.length > 0) {
    const { action } = Object(written) as Partial<ClusterPolicyRule>;
    return action === "Deny" || action === "Pass" ? [{ action: "Deny" }] : [];
  }
  const { name, action, protocols = [] } = rule;
  const head = {
    action: actionOf[action],
    ...(name ? { metadata: { annotations: { name } } } : {}),
  };
  const peers = [...(rule.from ?? []), ...(rule.to ?? [])].flatMap(entitiesOf);
  const place = direction === "ingress" ? ingressRule : egressRule;
  return rulesOf(head, peers, protocols.map(portOf), place);
}

/** A rule of felix is of one family, so networks of two become two. */
function entitiesOf(peer: ClusterPolicyPeer): EntityRule[] {
  if (peer.networks === undefined) return [podsOf(peer)];
  const nets = peer.networks as readonly Prefix[];
  return [...groupBy(nets, prefixFamily).values()].map((ofFamily) => ({ nets: ofFamily }));
}

/**
 * Selectors of the pods of some namespaces.
 *
 * @param anyPod selects pods where all of a namespace are meant, so that host endpoints are not
 */
function podsOf(
  { namespaces, pods }: ClusterPolicySubject,
  anyPod?: string,
): { readonly selector?: string; readonly namespaceSelector: string } {
  if (pods !== undefined) {
    return {
      selector: podSelectorText(pods.podSelector),
      namespaceSelector: namespaceSelectorText(pods.namespaceSelector ?? {}),
    };
  }
  return {
    ...(anyPod === undefined ? {} : { selector: anyPod }),
    namespaceSelector: namespaceSelectorText(namespaces ?? {}),
  };
}

function portOf({ tcp, udp, sctp }: ClusterPolicyProtocol): KubernetesPolicyPort {
  if (tcp !== undefined) return { protocol: "TCP", ...numbersOf(tcp) };
  if (udp !== undefined) return { protocol: "UDP", ...numbersOf(udp) };
  if (sctp !== undefined) return { protocol: "SCTP", ...numbersOf(sctp) };
  throw new TypeError("Cannot convert a protocol that is none of tcp, udp, sctp");
}

function numbersOf({ destinationPort }: ClusterPolicyPort): KubernetesPolicyPort {
  const { number, range } = destinationPort;
  return range === undefined
    ? { ...(number === undefined ? {} : { port: number }) }
    : { port: range.start, endPort: range.end };
}
