import type { Metadata } from "../../api/meta.ts";
import type { Kind } from "../../api/resource-of-kind.ts";
import { compareText } from "../../lib/collections.ts";
import {
  type KubeMetadata,
  type OwnerReference,
  plainMetadata,
  unlessEmpty,
} from "./kube-object.ts";
import { mirroredUid } from "./uid.ts";

/**
 * Metadata of a v3 object as it is kept in a CRD of `crd.projectcalico.org/v1`: most of it is JSON in
 * one annotation (facts 2.1).
 */

export const metadataAnnotation = "projectcalico.org/metadata";

/** The annotation of these tells the name too: that of the CRD may be "<tier>.<name>". */
const policyKinds: ReadonlySet<Kind> = new Set([
  "NetworkPolicy",
  "GlobalNetworkPolicy",
  "StagedNetworkPolicy",
  "StagedGlobalNetworkPolicy",
] satisfies Kind[]);

/** Older releases wrote a policy of the default tier with its tier before its name. */
const legacyPrefix = "default.";

/** Fields of the annotation, in the order in which Go writes them. */
const storedFields = [
  "name",
  "generateName",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "labels",
  "annotations",
  "ownerReferences",
  "finalizers",
] as const;

/** What is written: the version is what an update compares, the UID is the server's. */
export function metadataToStore(kind: Kind, metadata: Metadata): KubeMetadata {
  const { name, namespace, resourceVersion } = metadata;
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...unlessEmpty("labels", shared(metadata.labels)),
    annotations: {
      ...shared(metadata.annotations),
      [metadataAnnotation]: annotationText(kind, metadata),
    },
  };
}

/** @throws {SyntaxError} when the annotation is no JSON. */
export function metadataOfStored(kind: Kind, stored: KubeMetadata): Metadata {
  const { [metadataAnnotation]: text, ...annotations } = stored.annotations ?? {};
  const told = (text === undefined ? {} : JSON.parse(text)) as Partial<KubeMetadata>;
  const { labels: toldLabels, annotations: toldAnnotations, ownerReferences, ...others } = told;
  const base = text === undefined ? plainMetadata(stored) : withoutEmpty(others);
  const { namespace, resourceVersion, uid } = stored;
  const creationTimestamp = told.creationTimestamp ?? stored.creationTimestamp;
  const { labels: _labels, annotations: _annotations, ...rest } = base as KubeMetadata;
  return {
    ...rest,
    name: nameOf(kind, stored.name, told.name),
    ...(namespace === undefined ? {} : { namespace }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(uid === undefined ? {} : { uid: mirroredUid(uid) }),
    ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
    ...unlessEmpty("labels", { ...stored.labels, ...toldLabels }),
    ...unlessEmpty("annotations", { ...annotations, ...toldAnnotations }),
    ...(ownerReferences === undefined ? {} : { ownerReferences: ownersOf(ownerReferences) }),
  };
}

/** Names under which the object of a v3 name may be kept, the present form first. */
export function storedNames(kind: Kind, name: string): readonly string[] {
  return policyKinds.has(kind) && !name.includes(".") ? [name, legacyPrefix + name] : [name];
}

function nameOf(kind: Kind, stored: string, told: string | undefined): string {
  if (!policyKinds.has(kind)) return stored;
  if (told) return told;
  return stored.startsWith(legacyPrefix) ? stored.slice(legacyPrefix.length) : stored;
}

function annotationText(kind: Kind, metadata: Metadata): string {
  const { name, labels, annotations, ownerReferences } = metadata as KubeMetadata;
  const told: Record<string, unknown> = {
    ...metadata,
    name: policyKinds.has(kind) ? name : undefined,
    creationTimestamp: metadata.creationTimestamp ?? null,
    labels: sorted(labels),
    annotations: sorted(annotations),
    ownerReferences: ownerReferences === undefined ? undefined : ownersToStore(ownerReferences),
  };
  return escapedAsGo(JSON.stringify(Object.fromEntries(storedFields.map((f) => [f, told[f]]))));
}

/** Go escapes what could end a script element. */
function escapedAsGo(json: string): string {
  return json.replaceAll(/[<>&\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

function sorted(map: Readonly<Record<string, string>> | undefined): object | undefined {
  const entries = Object.entries(map ?? {});
  if (entries.length === 0) return undefined;
  return Object.fromEntries(entries.sort(([a], [b]) => compareText(a, b)));
}

/** What is on the CRD too, so that the server can select by it. */
function shared(map: Readonly<Record<string, string>> | undefined): Record<string, string> {
  return Object.fromEntries(
    Object.entries(map ?? {}).filter(([key]) =>
      /projectcalico\.org\/|operator\.tigera\.io\//.test(key),
    ),
  );
}

function withoutEmpty(fields: object): object {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== null && value !== ""),
  );
}

function ownersToStore(owners: readonly OwnerReference[]): readonly OwnerReference[] {
  return owners.map((owner) =>
    movedOwner(owner, "projectcalico.org/v3", "crd.projectcalico.org/v1"),
  );
}

function ownersOf(owners: readonly OwnerReference[]): readonly OwnerReference[] {
  return owners.map((owner) =>
    movedOwner(owner, "crd.projectcalico.org/v1", "projectcalico.org/v3"),
  );
}

function movedOwner(owner: OwnerReference, from: string, to: string): OwnerReference {
  if (owner.apiVersion !== from) return owner;
  return { ...owner, apiVersion: to, uid: mirroredUid(owner.uid) };
}
