import type { ResourceKey } from "../api/resource-key.ts";
import type { Kind, ResourceOfKind } from "../api/resource-of-kind.ts";
import { CodedError } from "../lib/errors.ts";
import type { SharedKinds } from "./syncer.ts";
import type { VirtualMachines } from "./virtual-machines.ts";

/**
 * One store of resources, the same promises from every driver (test/conformance):
 *
 * - every write bumps the object's `metadata.resourceVersion`; an update or delete that names an
 *   older one fails with `conflict`: compare-and-swap is the only lock there is;
 * - `watch` from the revision of a list gives every later change, of each kind in order, each
 *   object's newest last; a revision too old to resume from ends the watch with `compacted`;
 * - a receiver that is slow holds its watch back: about `maxWaitingEvents` events wait in this
 *   process, the rest in the server; one that cannot keep them ends the watch with `compacted` or
 *   `unavailable`, and no event is left out in silence;
 * - every call ends within its deadline, with `unavailable` when the server did not answer;
 * - unknown fields of an object are kept.
 */
export interface Datastore {
  /** @throws {DatastoreError} not-found */
  get<K extends Kind>(key: ResourceKey<K>): Promise<ResourceOfKind[K]>;
  /** Objects of a kind, of one namespace if given, ordered by namespace and name. */
  list<K extends Kind>(kind: K, options?: ListOptions): Promise<ResourceList<ResourceOfKind[K]>>;
  /** @throws {DatastoreError} already-exists */
  create<K extends Kind>(resource: ResourceOfKind[K]): Promise<ResourceOfKind[K]>;
  /**
   * Replaces the object. `metadata.resourceVersion` must be what was read.
   *
   * @throws {DatastoreError} conflict, not-found
   */
  update<K extends Kind>(resource: ResourceOfKind[K]): Promise<ResourceOfKind[K]>;
  /**
   * Deletes the object, at exactly `resourceVersion` if given.
   *
   * @throws {DatastoreError} conflict, not-found
   */
  delete<K extends Kind>(key: ResourceKey<K>, resourceVersion?: string): Promise<void>;
  /**
   * Changes after `revision` (of a list) until `signal` aborts. Ends by throwing: `compacted`
   * (list again) or `unavailable` (try again from the last revision seen).
   */
  watch(kinds: readonly Kind[], revision: string, signal: AbortSignal): AsyncIterable<WatchEvent>;
  /**
   * Lists kinds, and goes on with their changes as `watch` does. Stores have it to which that is less than a
   * list and a watch. When the caller does not take the changes it aborts `signal`.
   */
  follow?(kinds: readonly Kind[], signal: AbortSignal): Promise<Followed>;
  /**
   * Carries out all of the writes, or none. Only stores have it in which no write takes place after its
   * caller was told that it failed: a file of this host, not a server whose answer may be lost.
   *
   * @throws {DatastoreError} conflict, not-found, already-exists: of the first that was refused
   */
  writeAll?(writes: readonly Write[]): Promise<readonly ResourceOfKind[Kind][]>;
  /**
   * Creates all of the objects, or none. Like any other write, it may take place after its caller was told
   * `unavailable`.
   *
   * @throws {DatastoreError} already-exists: of the first that is there
   */
  createAll?(resources: readonly ResourceOfKind[Kind][]): Promise<readonly ResourceOfKind[Kind][]>;
  /** Names of all objects of a kind. Stores have it to which that is less than a list. */
  names?(kind: Kind): Promise<readonly string[]>;
  /** Kinds of which one syncer serves all others of this process. */
  readonly shared?: SharedKinds;
  /** Kubernetes has it: there pods may run virtual machines. */
  readonly virtualMachines?: VirtualMachines;
  close(): Promise<void>;
}

export interface Write {
  readonly verb: "create" | "update";
  readonly resource: ResourceOfKind[Kind];
}

/** Events of one watch that wait for their receiver in this process, about, at most. */
export const maxWaitingEvents = 1_000;

export interface ListOptions {
  readonly namespace?: string;
  /** Of affinities: others than this node's need not be given. */
  readonly node?: string;
}

export interface ResourceList<R> {
  readonly items: readonly R[];
  /** Where a watch that misses nothing starts. */
  readonly revision: string;
  /** Where the store has values of this kind that nobody can decode: etcd keys. Absent where there are none. */
  readonly unreadable?: readonly string[];
}

export interface Followed {
  readonly resources: readonly ResourceOfKind[Kind][];
  /** Where a watch that misses nothing starts. */
  readonly revision: string;
  readonly changes: AsyncIterable<WatchEvent>;
}

export type WatchEvent =
  | {
      readonly kind: "set";
      readonly key: ResourceKey;
      readonly resource: ResourceOfKind[Kind];
      readonly revision: string;
    }
  | { readonly kind: "deleted"; readonly key: ResourceKey; readonly revision: string }
  /** Nothing changed up to `revision`: resume there. */
  | { readonly kind: "progress"; readonly revision: string };

export type DatastoreFailure =
  | { readonly code: "not-found"; readonly key: ResourceKey }
  | { readonly code: "already-exists"; readonly key: ResourceKey }
  | { readonly code: "conflict"; readonly key: ResourceKey }
  | { readonly code: "unavailable" }
  /** Our credentials do not allow it; `verb` and `resource` as a Role names them. */
  | { readonly code: "forbidden"; readonly verb: string; readonly resource: string }
  | { readonly code: "compacted"; readonly revision: string }
  | { readonly code: "corrupt"; readonly key: string };

export class DatastoreError extends CodedError<DatastoreFailure> {
  override readonly name = "DatastoreError";
}

export function isDatastoreError(error: unknown, code: DatastoreFailure["code"]): boolean {
  return error instanceof DatastoreError && error.code === code;
}

/** What a request gives; undefined when the object is not there. */
export async function unlessAbsent<Answer>(answer: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isDatastoreError(error, "not-found")) return undefined;
    throw error;
  }
}
