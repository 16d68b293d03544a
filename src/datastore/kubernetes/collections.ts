import { kinds } from "../../api/kinds.ts";
import type { Kind } from "../../api/resource-of-kind.ts";

/** Where Calico's own kinds live: as CRDs behind a v3 object's translation, or as the API itself. */
export type ApiGroup = "crd.projectcalico.org/v1" | "projectcalico.org/v3";

/** A kind of the API server. */
export interface Collection {
  /** "v1" for the core group. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  /** Not every server has it: one that has not holds none of its objects. */
  readonly optional?: boolean;
}

/** Kinds that Kubernetes has in its own form, or has as they are. */
const nativeKinds = [
  "EndpointSlice",
  "Lease",
  "Node",
  "Profile",
  "Service",
  "WorkloadEndpoint",
] as const;
export type CustomKind = Exclude<Kind, (typeof nativeKinds)[number]>;

/** Every kind that is a CRD. */
export const customKinds: readonly CustomKind[] = Object.values(kinds)
  .map(({ kind }) => kind)
  .filter((kind): kind is CustomKind => !(nativeKinds as readonly Kind[]).includes(kind));

/** Kinds whose status is written by a request of its own (facts 2.1). */
export const kindsWithStatus: ReadonlySet<Kind> = new Set([
  "CalicoNodeStatus",
  "IPPool",
  "KubeControllersConfiguration",
  "Tier",
] satisfies Kind[]);

/** The CRD of a kind. */
export function customCollection(kind: CustomKind, apiVersion: ApiGroup): Collection {
  const { plural, namespaced } = kinds[kind];
  if (kind === "IPAMConfiguration" && apiVersion === "crd.projectcalico.org/v1") {
    return { apiVersion, kind: "IPAMConfig", plural: "ipamconfigs", namespaced };
  }
  return { apiVersion, kind, plural, namespaced };
}

export const podCollection: Collection = native("v1", "Pod", "pods", true);
export const nodeCollection: Collection = native("v1", "Node", "nodes", false);
export const namespaceCollection: Collection = native("v1", "Namespace", "namespaces", false);
export const accountCollection: Collection = native(
  "v1",
  "ServiceAccount",
  "serviceaccounts",
  true,
);
export const kubernetesPolicyCollection: Collection = native(
  "networking.k8s.io/v1",
  "NetworkPolicy",
  "networkpolicies",
  true,
);

/** Made by a CRD that is not ours. */
export const clusterPolicyCollection: Collection = {
  ...native(
    "policy.networking.k8s.io/v1alpha2",
    "ClusterNetworkPolicy",
    "clusternetworkpolicies",
    false,
  ),
  optional: true,
};

/** A kind that is stored as it is. */
export function plainCollection(kind: "EndpointSlice" | "Lease" | "Service"): Collection {
  const { apiVersion = "v1", plural, namespaced } = kinds[kind];
  return { apiVersion, kind, plural, namespaced };
}

function native(apiVersion: string, kind: string, plural: string, namespaced: boolean): Collection {
  return { apiVersion, kind, plural, namespaced };
}

/** Path of all objects, or of those in a namespace. */
export function collectionPath(collection: Collection, namespace?: string): string {
  const { apiVersion, plural, namespaced } = collection;
  const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  if (!namespaced || namespace === undefined) return `${root}/${plural}`;
  return `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}`;
}

/** Path of one object. */
export function objectPath(
  collection: Collection,
  { name, namespace }: { readonly name: string; readonly namespace?: string },
): string {
  return `${collectionPath(collection, namespace)}/${encodeURIComponent(name)}`;
}

/** "ippools of crd.projectcalico.org", as a Role names them. */
export function collectionText({ apiVersion, plural }: Collection): string {
  const at = apiVersion.indexOf("/");
  return at < 0 ? plural : `${plural}.${apiVersion.slice(0, at)}`;
}
