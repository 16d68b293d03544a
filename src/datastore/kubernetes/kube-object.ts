import type { Metadata } from "../../api/meta.ts";

/** An object as the API server tells it; which fields it has beside these depends on its kind. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: KubeMetadata;
  readonly [field: string]: unknown;
}

/** The server also keeps fields that no resource of ours has. */
export interface KubeMetadata extends Metadata {
  readonly generation?: number;
  readonly managedFields?: unknown;
  readonly selfLink?: string;
  readonly ownerReferences?: readonly OwnerReference[];
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
}

/** Metadata as the server has it, without what is its bookkeeping. */
export function plainMetadata(metadata: KubeMetadata): KubeMetadata {
  const { managedFields: _fields, generation: _generation, selfLink: _link, ...rest } = metadata;
  return rest;
}

/** A map of an annotation's JSON, or of nothing. */
export function stringMapOf(json: string | undefined): Record<string, string> {
  if (json === undefined) return {};
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return {};
    return Object.fromEntries(
      Object.entries(value).filter((entry): entry is [string, string] => {
        return typeof entry[1] === "string";
      }),
    );
  } catch {
    return {};
  }
}

/** `{ [name]: map }`, or nothing when the map is empty: an absent field is not an empty one. */
export function unlessEmpty<Name extends string>(
  name: Name,
  map: Readonly<Record<string, string>>,
): { readonly [N in Name]?: Readonly<Record<string, string>> } {
  return Object.keys(map).length === 0 ? {} : ({ [name]: map } as { [N in Name]: typeof map });
}
