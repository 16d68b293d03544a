import { randomUUID } from "node:crypto";
import type { ResourceKey } from "../api/resource-key.ts";
import { keyText } from "../api/resource-key.ts";
import type { Kind, ResourceOfKind } from "../api/resource-of-kind.ts";
import { DatastoreError } from "./datastore.ts";

/** A new object gets a UID and a creation time, and has no version yet. */
export function prepareForCreate<K extends Kind>(resource: ResourceOfKind[K]): ResourceOfKind[K] {
  const { resourceVersion: _version, ...metadata } = resource.metadata;
  return {
    ...resource,
    metadata: {
      ...metadata,
      uid: metadata.uid ?? randomUUID(),
      creationTimestamp: metadata.creationTimestamp ?? now(),
    },
  };
}

/** The version is what the caller read: it is compared, not stored. */
export function prepareForUpdate<K extends Kind>(resource: ResourceOfKind[K]): ResourceOfKind[K] {
  const { resourceVersion: _version, ...metadata } = resource.metadata;
  return { ...resource, metadata };
}

/** RFC 3339 without fractions, as Kubernetes writes it. */
function now(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, "Z");
}

const words = {
  "not-found": "does not exist",
  "already-exists": "exists already",
  conflict: "was changed by somebody else",
} as const;

export function objectRefused(code: keyof typeof words, key: ResourceKey): DatastoreError {
  return new DatastoreError(`${keyText(key)} ${words[code]}`, { code, key });
}
