import { calicoApiVersion } from "../meta.ts";
import type { KubernetesNamespace } from "../resources/kubernetes.ts";
import type { Profile } from "../resources/policy.ts";
import { namespaceLabelPrefix, serviceAccountLabelPrefix } from "../selector/scope.ts";

/** Profile of a namespace: "kns.<namespace>". */
export const namespaceProfilePrefix = "kns.";
/** Profile of a service account: "ksa.<namespace>.<account>". */
export const serviceAccountProfilePrefix = "ksa.";

/** Label with the namespace's or account's own name, under "pcns." or "pcsa.". */
const nameLabel = "projectcalico.org/name";
/** Label that an API server gives every namespace. */
const kubernetesNameLabel = "kubernetes.io/metadata.name";

/** What we take from a namespace. */
export interface NamespaceContent {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly resourceVersion?: string;
}

/**
 * The profiles that a pod of the namespace has: "kns.<name>" allows all and hands down the
 * namespace's labels; "ksa.<name>.default" is of the service account that every namespace has
 * (facts 2.6).
 */
export function profilesOfNamespace(content: NamespaceContent): readonly [Profile, Profile] {
  const account = profileOfServiceAccount({ name: "default", namespace: content.name });
  return [namespaceProfile(content), account];
}

/** The namespace that a profile was made of, or undefined when it was made of something else. */
export function namespaceOfProfile(profile: Profile): KubernetesNamespace | undefined {
  const { name: profileName, labels: _labels, ...metadata } = profile.metadata;
  if (!profileName.startsWith(namespaceProfilePrefix)) return undefined;
  const labels = Object.entries(profile.spec.labelsToApply ?? {})
    .filter(([label]) => label.startsWith(namespaceLabelPrefix))
    .map(([label, value]) => [label.slice(namespaceLabelPrefix.length), value])
    .filter(([label]) => label !== nameLabel);
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      ...metadata,
      name: profileName.slice(namespaceProfilePrefix.length),
      labels: Object.fromEntries(labels),
    },
    spec: {},
  };
}

function namespaceProfile(content: NamespaceContent): Profile {
  const { name, labels, annotations, resourceVersion } = content;
  const handedDown = { [kubernetesNameLabel]: name, ...labels, [nameLabel]: name };
  return {
    apiVersion: calicoApiVersion,
    kind: "Profile",
    metadata: {
      name: namespaceProfilePrefix + name,
      ...(annotations === undefined ? {} : { annotations }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    },
    spec: {
      ingress: [{ action: "Allow" }],
      egress: [{ action: "Allow" }],
      labelsToApply: Object.fromEntries(
        Object.entries(handedDown).map(([label, value]) => [namespaceLabelPrefix + label, value]),
      ),
    },
  };
}

/** The profile that pods of the account have: it hands down the account's labels (facts 2.6). */
export function profileOfServiceAccount({
  name,
  namespace,
  labels = {},
}: {
  readonly name: string;
  readonly namespace: string;
  readonly labels?: Readonly<Record<string, string>>;
}): Profile {
  const handedDown = { ...labels, [nameLabel]: name };
  return {
    apiVersion: calicoApiVersion,
    kind: "Profile",
    metadata: { name: `${serviceAccountProfilePrefix}${namespace}.${name}` },
    spec: {
      labelsToApply: Object.fromEntries(
        Object.entries(handedDown).map(([label, value]) => [
          serviceAccountLabelPrefix + label,
          value,
        ]),
      ),
    },
  };
}
