import type { ResourceKey } from "../../api/resource-key.ts";
import type { AnyResource, Kind } from "../../api/resource-of-kind.ts";
import type { Collection } from "./collections.ts";
import type { KubeObject } from "./kube-object.ts";

/** Where an object is in a collection. */
export interface ObjectName {
  readonly name: string;
  readonly namespace?: string;
}

/** How resources of a kind are objects of a collection. A kind may be spread over two. */
export interface Mapping {
  readonly kind: Kind;
  readonly collection: Collection;
  /** Where the object of a key can be, likeliest first; none when it is not of this collection. */
  locate(key: ResourceKey): readonly ObjectName[];
  /** The key of the resource that an object is; undefined when it never is one. */
  keyOf(object: KubeObject): ResourceKey | undefined;
  /**
   * The resource; undefined when the object is none, or none yet, or is being deleted.
   *
   * @throws {SyntaxError} when the object cannot be read.
   */
  decode(object: KubeObject): AnyResource | undefined;
  readonly writes: Writes;
}

export type Writes =
  /** Objects are created, replaced and deleted. */
  | {
      readonly kind: "objects";
      /** @throws {InputError} for a resource that is not of this collection. */
      readonly encode: (resource: AnyResource) => KubeObject;
      /** Deleted by a mark first, then in fact. */
      readonly softDeleted: boolean;
      readonly hasStatus: boolean;
    }
  /** Others make and delete the objects; ours is some annotations, written with the status. */
  | {
      readonly kind: "annotations";
      readonly patchType: "application/merge-patch+json" | "application/strategic-merge-patch+json";
      readonly annotationsOf: (resource: AnyResource) => Readonly<Record<string, string | null>>;
      /** What of the object's status is ours; its lists are merged by their keys. */
      readonly statusOf?: (resource: AnyResource) => Readonly<Record<string, unknown>> | undefined;
      /** What is left of a deleted resource; absent: it cannot be deleted here. */
      readonly deleted?: Readonly<Record<string, string | null>>;
    }
  | { readonly kind: "none"; readonly why: string };
