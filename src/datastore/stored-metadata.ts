import { randomUUID } from "node:crypto";
import { kinds } from "../api/kinds.ts";
import type { ResourceKey } from "../api/resource-key.ts";
import { keyOf, keyText } from "../api/resource-key.ts";
import type { AnyResource, Kind, ResourceOfKind } from "../api/resource-of-kind.ts";
import type { Clock } from "../lib/clock.ts";
import { compareText } from "../lib/collections.ts";
import { InputError } from "../lib/errors.ts";
import { DatastoreError } from "./datastore.ts";

/**
 * A new object gets a UID and a creation time, and has no version yet.
 *
 * @throws {InputError} when the object's name or namespace cannot be a key.
 */
export function prepareForCreate<K extends Kind>(
  resource: ResourceOfKind[K],
  clock: Clock,
): ResourceOfKind[K] {
  const { resourceVersion: _version, ...metadata } = resource.metadata;
  checkKey(keyOf(resource as AnyResource));
  return {
    ...resource,
    metadata: {
      ...metadata,
      uid: metadata.uid ?? randomUUID(),
      creationTimestamp: metadata.creationTimestamp ?? timestamp(clock),
    },
  };
}

/** The version is what the caller read: it is compared, not stored. */
export function prepareForUpdate<K extends Kind>(resource: ResourceOfKind[K]): ResourceOfKind[K] {
  const { resourceVersion: _version, ...metadata } = resource.metadata;
  return { ...resource, metadata };
}

/** Spec of a block as it was parsed: its sequence numbers become bigints whatever their size. */
export function withBigSequences(spec: Record<string, unknown>): Record<string, unknown> {
  const perAllocation = Object.entries(spec["sequenceNumberForAllocation"] ?? {});
  return {
    ...spec,
    sequenceNumber: BigInt((spec["sequenceNumber"] ?? 0) as number | bigint),
    sequenceNumberForAllocation: Object.fromEntries(
      perAllocation.map(([ordinal, number]) => [ordinal, BigInt(number as number | bigint)]),
    ),
  };
}

/** The items by namespace, then by name. */
export function inOrder<K extends Kind>(
  items: readonly ResourceOfKind[K][],
): readonly ResourceOfKind[K][] {
  return items.toSorted(
    ({ metadata: a }, { metadata: b }) =>
      compareText(a.namespace ?? "", b.namespace ?? "") || compareText(a.name, b.name),
  );
}

/** Keys are paths in every store: a "/" would name another object, but in a handle, the last part. */
function checkKey(key: ResourceKey): void {
  const { kind, name, namespace } = key;
  const bad = (field: string, why: string) =>
    new InputError(`Cannot store ${keyText(key)}: metadata.${field} ${why}`);
  if (!name || (kind !== "IPAMHandle" && name.includes("/")))
    throw bad("name", `may not be "${name}"`);
  if (kinds[kind].namespaced !== (namespace !== undefined)) {
    throw bad("namespace", kinds[kind].namespaced ? "is required" : "may not be given");
  }
  if (namespace === "" || namespace?.includes("/")) {
    throw bad("namespace", `may not be "${namespace}"`);
  }
}

/** RFC 3339 without fractions, as Kubernetes writes it. */
function timestamp(clock: Clock): string {
  return `${clock.date().toISOString().slice(0, 19)}Z`;
}

const words = {
  "not-found": "does not exist",
  "already-exists": "exists already",
  conflict: "was changed by somebody else",
} as const;

/**
 * An answer like any other, and the key says all: without a stack, which takes 9 us, where a read that
 * is known takes 2.
 */
export function objectRefused(code: keyof typeof words, key: ResourceKey): DatastoreError {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return new DatastoreError(`${keyText(key)} ${words[code]}`, { code, key });
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
