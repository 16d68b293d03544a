import { type KubeMetadata, plainMetadata } from "./kube-object.ts";
import type { ObjectName } from "./mapping.ts";
import { mirroredUid } from "./uid.ts";

/** Metadata as it is, but for the UID of what is another object to Kubernetes. */
export function ownMetadata(metadata: KubeMetadata, mirrored: boolean): KubeMetadata {
  const plain = plainMetadata(metadata);
  if (!mirrored || plain.uid === undefined) return plain;
  return { ...plain, uid: mirroredUid(plain.uid) };
}

/** The server gives identity and time. */
export function writtenMetadata(metadata: KubeMetadata): KubeMetadata {
  const { uid: _uid, creationTimestamp: _created, ...rest } = plainMetadata(metadata);
  return rest;
}

/** The namespace, where there is one. */
export function namespaceOf({ namespace }: { readonly namespace?: string }): Partial<ObjectName> {
  return namespace === undefined ? {} : { namespace };
}
