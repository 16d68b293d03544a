import {
  namespaceProfilePrefix,
  profileOfServiceAccount,
  profilesOfNamespace,
  serviceAccountProfilePrefix,
} from "../../api/kubernetes/namespace.ts";
import { calicoApiVersion } from "../../api/meta.ts";
import { parseWepName } from "../../api/names.ts";
import { isKubernetesPolicy } from "../../api/policy-identity.ts";
import { keyOf, type ResourceKey } from "../../api/resource-key.ts";
import type { AnyResource, Kind } from "../../api/resource-of-kind.ts";
import type { Node } from "../../api/resources/node.ts";
import type { Profile } from "../../api/resources/policy.ts";
import type { WorkloadEndpoint } from "../../api/resources/workload-endpoint.ts";
import {
  type ApiGroup,
  accountCollection,
  type CustomKind,
  customCollection,
  customKinds,
  kindsWithStatus,
  namespaceCollection,
  nodeCollection,
  plainCollection,
  podCollection,
} from "./collections.ts";
import { metadataOfStored, metadataToStore, storedNames } from "./custom-metadata.ts";
import { isDeleted, softDeletedKinds, specOfStored, specToStore } from "./custom-spec.ts";
import { type KubeMetadata, type KubeObject, plainMetadata, unlessEmpty } from "./kube-object.ts";
import type { Mapping } from "./mapping.ts";
import { namespaceOf, ownMetadata, writtenMetadata } from "./mapping-metadata.ts";
import { annotationsOfNode, nodeOfKube, statusOfNode } from "./node-annotations.ts";
import { annotationsOfEndpoint, endpointOfPod, releasedAnnotations } from "./pod-endpoint.ts";
import { clusterPolicyMapping, kubernetesPolicyMapping } from "./policy-mappings.ts";

export interface MappingOptions {
  readonly apiGroup: ApiGroup;
  /** First of FELIX_INTERFACEPREFIX: what a veth's name begins with. */
  readonly interfacePrefix: string;
  /** Only what Kubernetes itself has: Calico's own kinds are kept elsewhere, and it need not know them. */
  readonly nativeOnly?: boolean;
}

/** How every kind is kept in Kubernetes (facts 2.1 to 2.6). */
export function mappingsOf(options: MappingOptions): Readonly<Record<Kind, readonly Mapping[]>> {
  const custom = Object.fromEntries(
    customKinds.map((kind) => [
      kind,
      options.nativeOnly === true ? [] : [customMapping(kind, options.apiGroup)],
    ]),
  ) as unknown as Record<CustomKind, readonly Mapping[]>;
  return {
    ...custom,
    GlobalNetworkPolicy: [...custom.GlobalNetworkPolicy, clusterPolicyMapping],
    NetworkPolicy: [...custom.NetworkPolicy, kubernetesPolicyMapping],
    Node: [nodeMapping],
    Profile: [namespaceProfileMapping, accountProfileMapping],
    WorkloadEndpoint: [podMapping(options.interfacePrefix)],
    EndpointSlice: [plainMapping("EndpointSlice")],
    Lease: [plainMapping("Lease")],
    Service: [plainMapping("Service")],
  };
}

function customMapping(kind: CustomKind, apiGroup: ApiGroup): Mapping {
  const collection = customCollection(kind, apiGroup);
  const translated = apiGroup === "crd.projectcalico.org/v1";
  const isIpam = softDeletedKinds.has(kind) || kind === "IPAMConfiguration";
  const metadataOf = (object: KubeObject) =>
    translated && !isIpam
      ? metadataOfStored(kind, object.metadata)
      : ownMetadata(object.metadata, translated);
  const keyOfObject = (object: KubeObject): ResourceKey => {
    const { name, namespace } = metadataOf(object);
    return namespace === undefined ? { kind, name } : { kind, name, namespace };
  };
  return {
    kind,
    collection,
    locate: (key) => {
      // Kubernetes' own policies are in a collection of their own.
      if (isKubernetesPolicy(key)) return [];
      const names = translated ? storedNames(kind, key.name) : [key.name];
      return names.map((name) => ({ ...namespaceOf(key), name }));
    },
    keyOf: keyOfObject,
    decode: (object) => {
      const spec = (object["spec"] ?? {}) as Record<string, unknown>;
      if (softDeletedKinds.has(kind) && isDeleted(spec)) return undefined;
      const { metadata: _metadata, ...fields } = object;
      return {
        ...fields,
        apiVersion: calicoApiVersion,
        kind,
        metadata: metadataOf(object),
        spec: specOfStored(kind, spec),
      } as unknown as AnyResource;
    },
    writes: {
      kind: "objects",
      softDeleted: softDeletedKinds.has(kind),
      hasStatus: kindsWithStatus.has(kind),
      encode: (resource) => ({
        ...resource,
        apiVersion: collection.apiVersion,
        kind: collection.kind,
        metadata:
          translated && !isIpam
            ? metadataToStore(kind, resource.metadata)
            : writtenMetadata(resource.metadata),
        spec: specToStore(kind, resource.spec as Record<string, unknown>, apiGroup),
      }),
    },
  };
}

const nodeMapping: Mapping = {
  kind: "Node",
  collection: nodeCollection,
  locate: ({ name }) => [{ name }],
  keyOf: ({ metadata }) => ({ kind: "Node", name: metadata.name }),
  decode: nodeOfKube,
  writes: {
    kind: "annotations",
    patchType: "application/strategic-merge-patch+json",
    annotationsOf: (resource) => annotationsOfNode(resource as Node),
    statusOf: (resource) => statusOfNode(resource as Node),
  },
};

function podMapping(interfacePrefix: string): Mapping {
  return {
    kind: "WorkloadEndpoint",
    collection: podCollection,
    locate: (key) => {
      const parts = parseWepName(key.name);
      return parts?.orchestrator === "k8s" ? [{ ...namespaceOf(key), name: parts.workload }] : [];
    },
    keyOf: (object) => {
      const endpoint = endpointOfPod(object, interfacePrefix);
      return endpoint === undefined ? undefined : keyOf(endpoint);
    },
    decode: (object) => endpointOfPod(object, interfacePrefix),
    writes: {
      kind: "annotations",
      patchType: "application/strategic-merge-patch+json",
      annotationsOf: (resource) => annotationsOfEndpoint(resource as WorkloadEndpoint),
      deleted: releasedAnnotations,
    },
  };
}

const derivedProfile = "it is made of a Namespace or a ServiceAccount, which Kubernetes keeps";

/** What a namespace asks for its pods' addresses (facts 3.8). All else nobody needs. */
const cniAnnotations = "cni.projectcalico.org/";

const namespaceProfileMapping: Mapping = {
  kind: "Profile",
  collection: namespaceCollection,
  locate: ({ name }) =>
    name.startsWith(namespaceProfilePrefix)
      ? [{ name: name.slice(namespaceProfilePrefix.length) }]
      : [],
  keyOf: ({ metadata }) => ({ kind: "Profile", name: namespaceProfilePrefix + metadata.name }),
  decode: ({ metadata }) => {
    const { name, labels = {}, annotations = {} } = metadata;
    const wishes = Object.entries(annotations).filter(([key]) => key.startsWith(cniAnnotations));
    const [profile] = profilesOfNamespace({
      name,
      labels,
      ...unlessEmpty("annotations", Object.fromEntries(wishes)),
    });
    return withIdentity(profile, metadata);
  },
  writes: { kind: "none", why: derivedProfile },
};

const accountProfileMapping: Mapping = {
  kind: "Profile",
  collection: accountCollection,
  locate: ({ name }) => {
    // A namespace has no dot.
    const [, namespace, account] = /^ksa\.([^.]+)\.(.+)$/.exec(name) ?? [];
    return namespace && account ? [{ namespace, name: account }] : [];
  },
  keyOf: ({ metadata }) => ({ kind: "Profile", name: accountProfileName(metadata) }),
  decode: ({ metadata }) => {
    const { name, namespace = "default", labels = {} } = metadata;
    return withIdentity(profileOfServiceAccount({ name, namespace, labels }), metadata);
  },
  writes: { kind: "none", why: derivedProfile },
};

function plainMapping(kind: "EndpointSlice" | "Lease" | "Service"): Mapping {
  const collection = plainCollection(kind);
  return {
    kind,
    collection,
    locate: (key) => [{ ...namespaceOf(key), name: key.name }],
    keyOf: ({ metadata }) => ({ kind, name: metadata.name, ...namespaceOf(metadata) }),
    decode: (object) =>
      ({
        ...object,
        apiVersion: collection.apiVersion,
        kind,
        metadata: plainMetadata(object.metadata),
      }) as unknown as AnyResource,
    writes: {
      kind: "objects",
      softDeleted: false,
      hasStatus: kind === "Service",
      encode: (resource) =>
        ({ ...resource, metadata: writtenMetadata(resource.metadata) }) as unknown as KubeObject,
    },
  };
}

function accountProfileName({ name, namespace }: KubeMetadata): string {
  return `${serviceAccountProfilePrefix}${namespace}.${name}`;
}

function withIdentity(profile: Profile, metadata: KubeMetadata): Profile {
  const { resourceVersion, uid, creationTimestamp } = ownMetadata(metadata, true);
  const identity = { resourceVersion, uid, creationTimestamp };
  const given = Object.entries(identity).filter(([, value]) => value !== undefined);
  return { ...profile, metadata: { ...profile.metadata, ...Object.fromEntries(given) } };
}
