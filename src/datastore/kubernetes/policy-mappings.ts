import { clusterPolicyOf, globalPolicyOf } from "../../api/kubernetes/cluster-network-policy.ts";
import { kubernetesPolicyOf, networkPolicyOf } from "../../api/kubernetes/network-policy.ts";
import {
  clusterPolicyPrefix,
  isKubernetesPolicy,
  kubernetesPolicyPrefix,
} from "../../api/policy-identity.ts";
import { keyOf, keyText } from "../../api/resource-key.ts";
import type { AnyResource } from "../../api/resource-of-kind.ts";
import type { ClusterNetworkPolicy } from "../../api/resources/cluster-network-policy.ts";
import type { KubernetesNetworkPolicy } from "../../api/resources/kubernetes.ts";
import type { GlobalNetworkPolicy, NetworkPolicy } from "../../api/resources/policy.ts";
import { InputError } from "../../lib/errors.ts";
import {
  type Collection,
  clusterPolicyCollection,
  kubernetesPolicyCollection,
} from "./collections.ts";
import type { KubeObject } from "./kube-object.ts";
import type { Mapping } from "./mapping.ts";
import { namespaceOf, ownMetadata, writtenMetadata } from "./mapping-metadata.ts";

/** Policies of Kubernetes, which have a name with a prefix in our form (facts 2.6). */

/** A NetworkPolicy of `networking.k8s.io`. */
export const kubernetesPolicyMapping: Mapping = policyMapping({
  kind: "NetworkPolicy",
  collection: kubernetesPolicyCollection,
  prefix: kubernetesPolicyPrefix,
  decode: (object) => networkPolicyOf(object as unknown as KubernetesNetworkPolicy),
  written: (resource) => kubernetesPolicyOf(resource as NetworkPolicy),
});

/** A ClusterNetworkPolicy of `policy.networking.k8s.io`. */
export const clusterPolicyMapping: Mapping = policyMapping({
  kind: "GlobalNetworkPolicy",
  collection: clusterPolicyCollection,
  prefix: clusterPolicyPrefix,
  decode: (object) => globalPolicyOf(object as unknown as ClusterNetworkPolicy),
  written: (resource) => clusterPolicyOf(resource as GlobalNetworkPolicy),
});

interface PolicyForm {
  readonly kind: "NetworkPolicy" | "GlobalNetworkPolicy";
  readonly collection: Collection;
  readonly prefix: string;
  readonly decode: (object: KubeObject) => AnyResource;
  /** As it was written; undefined for what was not. */
  readonly written: (
    resource: AnyResource,
  ) => ClusterNetworkPolicy | KubernetesNetworkPolicy | undefined;
}

function policyMapping({ kind, collection, prefix, decode, written }: PolicyForm): Mapping {
  return {
    kind,
    collection,
    locate: (key) =>
      isKubernetesPolicy(key) ? [{ ...namespaceOf(key), name: key.name.slice(prefix.length) }] : [],
    keyOf: ({ metadata }) => ({ kind, name: prefix + metadata.name, ...namespaceOf(metadata) }),
    decode: (object) => decode({ ...object, metadata: ownMetadata(object.metadata, true) }),
    writes: {
      kind: "objects",
      softDeleted: false,
      hasStatus: false,
      encode: (resource) => {
        const policy = written(resource);
        if (policy === undefined) {
          throw new InputError(
            `Cannot store ${keyText(keyOf(resource))}: a name with ${prefix} is for a Kubernetes ${collection.kind}`,
          );
        }
        return { ...policy, metadata: writtenMetadata(policy.metadata) } as unknown as KubeObject;
      },
    },
  };
}
