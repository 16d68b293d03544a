import { kindOfWord, kinds } from "../api/kinds.ts";
import { clusterPolicyOf } from "../api/kubernetes/cluster-network-policy.ts";
import {
  namespaceOfProfile,
  namespaceProfilePrefix,
  serviceAccountProfilePrefix,
} from "../api/kubernetes/namespace.ts";
import { kubernetesPolicyOf } from "../api/kubernetes/network-policy.ts";
import type { WrittenAs } from "../api/manifest.ts";
import { clusterPolicyPrefix, kubernetesPolicyPrefix } from "../api/policy-identity.ts";
import type { ResourceKey } from "../api/resource-key.ts";
import type { AnyResource, Kind } from "../api/resource-of-kind.ts";

/**
 * A kind as a user knows it. Most are what is stored; a Kubernetes NetworkPolicy or
 * ClusterNetworkPolicy and a Namespace are stored in our form, and shown, named and deleted in the form that they were written in.
 */
export interface View {
  /** What messages and output call it. */
  readonly kind: string;
  /** Tells the views of one kind apart: tables have other columns. */
  readonly table: Kind | "ClusterNetworkPolicy" | "KubernetesNetworkPolicy" | "Namespace";
  readonly stored: Kind;
  readonly namespaced: boolean;
  /** A user may only look. */
  readonly internal: boolean;
  /** Where an object of this name may be stored, the most likely first: the first found is meant. */
  keys(name: string, namespace: string | undefined): readonly ResourceKey[];
  /** What is stored besides it, and goes with it. */
  companions(name: string): readonly ResourceKey[];
  /** The object in its author's form; undefined when it is not of this view. */
  show(resource: AnyResource): { readonly kind: string; readonly metadata: Named } | undefined;
}

interface Named {
  readonly name: string;
  readonly namespace?: string;
}

/** Words for a Kubernetes NetworkPolicy and nothing else. */
const kubernetesPolicyWords = [
  "knp",
  "knps",
  "kubernetesnetworkpolicy",
  "kubernetesnetworkpolicies",
  "networkpolicy.networking.k8s.io",
  "networkpolicies.networking.k8s.io",
];
/** "cnp" is a word of other projects for policies of their own. */
const clusterPolicyWords = [
  "kcnp",
  "kcnps",
  "clusternetworkpolicy",
  "clusternetworkpolicies",
  "clusternetworkpolicy.policy.networking.k8s.io",
  "clusternetworkpolicies.policy.networking.k8s.io",
];
const namespaceWords = ["namespace", "namespaces", "ns"];

const kubernetesPolicyView: View = {
  kind: "NetworkPolicy",
  table: "KubernetesNetworkPolicy",
  stored: "NetworkPolicy",
  namespaced: true,
  internal: false,
  keys: (name, namespace) => [policyKey(kubernetesPolicyPrefix + name, namespace)],
  companions: () => [],
  show: (resource) =>
    resource.kind === "NetworkPolicy" && resource.metadata.name.startsWith(kubernetesPolicyPrefix)
      ? (kubernetesPolicyOf(resource) ?? resource)
      : undefined,
};

const clusterPolicyView: View = {
  kind: "ClusterNetworkPolicy",
  table: "ClusterNetworkPolicy",
  stored: "GlobalNetworkPolicy",
  namespaced: false,
  internal: false,
  keys: (name) => [clusterPolicyKey(name)],
  companions: () => [],
  show: (resource) =>
    resource.kind === "GlobalNetworkPolicy" &&
    resource.metadata.name.startsWith(clusterPolicyPrefix)
      ? (clusterPolicyOf(resource) ?? resource)
      : undefined,
};

const namespaceView: View = {
  kind: "Namespace",
  table: "Namespace",
  stored: "Profile",
  namespaced: false,
  internal: false,
  keys: (name) => [{ kind: "Profile", name: namespaceProfilePrefix + name }],
  companions: (name) => [
    { kind: "Profile", name: `${serviceAccountProfilePrefix}${name}.default` },
  ],
  show: (resource) => (resource.kind === "Profile" ? namespaceOfProfile(resource) : undefined),
};

/** Both sorts of NetworkPolicy: who asks for policies wants to see all that apply. */
const policyView: View = {
  ...storedView("NetworkPolicy"),
  keys: (name, namespace) => [
    policyKey(name, namespace),
    policyKey(kubernetesPolicyPrefix + name, namespace),
  ],
  show: (resource) =>
    (resource.kind === "NetworkPolicy" ? kubernetesPolicyOf(resource) : undefined) ?? resource,
};

/** As policyView, of those that are in no namespace. */
const globalPolicyView: View = {
  ...storedView("GlobalNetworkPolicy"),
  keys: (name) => [{ kind: "GlobalNetworkPolicy", name }, clusterPolicyKey(name)],
  show: (resource) =>
    (resource.kind === "GlobalNetworkPolicy" ? clusterPolicyOf(resource) : undefined) ?? resource,
};

/** The view that a word of the command line names, in any case. */
export function viewOfWord(word: string): View | undefined {
  const lower = word.toLowerCase();
  if (kubernetesPolicyWords.includes(lower)) return kubernetesPolicyView;
  if (clusterPolicyWords.includes(lower)) return clusterPolicyView;
  if (namespaceWords.includes(lower)) return namespaceView;
  const info = kindOfWord(lower.replace(/\.(crd\.)?projectcalico\.org$/, ""));
  if (info === undefined) return undefined;
  if (info.kind === "GlobalNetworkPolicy") return globalPolicyView;
  return info.kind === "NetworkPolicy" ? policyView : storedView(info.kind);
}

/** The view of an object of a manifest. */
export function viewOfItem(item: { readonly as: WrittenAs; readonly apiVersion: string }): View {
  if (item.as.kind === "Namespace") return namespaceView;
  if (item.as.kind === "ClusterNetworkPolicy") return clusterPolicyView;
  if (item.apiVersion.startsWith("networking.k8s.io/")) return kubernetesPolicyView;
  return storedView(item.as.kind as Kind);
}

/** Every word that names a view: for completion and help. */
export function viewWords(): readonly string[] {
  return [
    ...Object.values(kinds).map(({ kind }) => kind.toLowerCase()),
    "knp",
    "kcnp",
    "namespace",
  ];
}

/** `NetworkPolicy "shop/web"`: how messages call an object. */
export function titleOf({ kind, name, namespace }: WrittenAs): string {
  return namespace === undefined ? `${kind} "${name}"` : `${kind} "${namespace}/${name}"`;
}

function storedView(kind: Kind): View {
  const { namespaced, internal = false } = kinds[kind];
  return {
    kind,
    table: kind,
    stored: kind,
    namespaced,
    internal,
    keys: (name, namespace) => [
      namespaced ? { kind, name, namespace: namespace ?? "default" } : { kind, name },
    ],
    companions: () => [],
    show: (resource) => resource,
  };
}

function clusterPolicyKey(name: string): ResourceKey {
  return { kind: "GlobalNetworkPolicy", name: clusterPolicyPrefix + name };
}

function policyKey(name: string, namespace: string | undefined): ResourceKey {
  return { kind: "NetworkPolicy", name, namespace: namespace ?? "default" };
}
