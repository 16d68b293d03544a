import type { Resource } from "./meta.ts";
import type { Kind } from "./resource-of-kind.ts";

/** Names one object. `namespace` is absent for cluster-wide kinds. */
export interface ResourceKey<K extends Kind = Kind> {
  readonly kind: K;
  readonly name: string;
  readonly namespace?: string;
}

/** "Kind/name" or "Kind/namespace/name": unique, safe as a Map key. Names hold no "/". */
export function keyText(key: ResourceKey): string {
  return key.namespace === undefined
    ? `${key.kind}/${key.name}`
    : `${key.kind}/${key.namespace}/${key.name}`;
}

export function keyOf<K extends Kind>(resource: Resource<K>): ResourceKey<K> {
  const { name, namespace } = resource.metadata;
  return namespace === undefined
    ? { kind: resource.kind, name }
    : { kind: resource.kind, name, namespace };
}
