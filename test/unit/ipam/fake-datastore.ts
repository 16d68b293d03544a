import { keyOf, keyText, type ResourceKey } from "../../../src/api/resource-key.ts";
import type { AnyResource, Kind, ResourceOfKind } from "../../../src/api/resource-of-kind.ts";
import {
  type Datastore,
  DatastoreError,
  type ListOptions,
  type ResourceList,
  type WatchEvent,
} from "../../../src/datastore/datastore.ts";
import { compareText } from "../../../src/lib/collections.ts";

/** Called around each write: throws to make it fail, or waits, before or after it took place. */
export interface WriteFaults {
  before?(op: string, key: ResourceKey): void | Promise<void>;
  after?(op: string, key: ResourceKey): void;
  /** Several objects can be created in one write, as in etcd. */
  readonly createsTogether?: boolean;
}

/** A datastore in memory whose every call yields first, so that callers interleave. */
export class FakeDatastore implements Datastore {
  readonly #objects: Map<string, AnyResource>;
  readonly #revision: { value: number };
  readonly #faults: WriteFaults;
  writes = 0;
  readonly createAll?: NonNullable<Datastore["createAll"]>;

  constructor(faults: WriteFaults = {}, shared?: FakeDatastore) {
    this.#faults = faults;
    if (faults.createsTogether === true) this.createAll = (all) => this.#createAll(all);
    this.#objects = shared === undefined ? new Map() : shared.#objects;
    this.#revision = shared === undefined ? { value: 0 } : shared.#revision;
  }

  async get<K extends Kind>(key: ResourceKey<K>): Promise<ResourceOfKind[K]> {
    await yieldTurn();
    const found = this.#objects.get(keyText(key));
    if (found === undefined) throw failure("not-found", key);
    return structuredClone(found) as ResourceOfKind[K];
  }

  async list<K extends Kind>(
    kind: K,
    { node }: ListOptions = {},
  ): Promise<ResourceList<ResourceOfKind[K]>> {
    await yieldTurn();
    const items = [...this.#objects.values()]
      .filter((object) => object.kind === kind && isAskedFor(object, node))
      .sort((a, b) => compareText(a.metadata.name, b.metadata.name));
    return {
      items: structuredClone(items) as ResourceOfKind[Kind][] as ResourceOfKind[K][],
      revision: String(this.#revision.value),
    };
  }

  create<K extends Kind>(resource: ResourceOfKind[K]): Promise<ResourceOfKind[K]> {
    const key = keyOf(resource as AnyResource);
    return this.#write("create", key, () => {
      if (this.#objects.has(keyText(key))) throw failure("already-exists", key);
      return this.#put(resource as AnyResource) as ResourceOfKind[K];
    });
  }

  #createAll(resources: readonly ResourceOfKind[Kind][]): Promise<readonly ResourceOfKind[Kind][]> {
    const all = resources as readonly AnyResource[];
    const [first] = all;
    if (first === undefined) throw new Error("Cannot create nothing");
    const keys = new Set(all.map((each) => keyText(keyOf(each))));
    // As etcd does.
    if (keys.size < all.length) throw new Error("Cannot create one object twice in one write");
    return this.#write("create", keyOf(first), () => {
      for (const each of all) {
        if (this.#objects.has(keyText(keyOf(each)))) throw failure("already-exists", keyOf(each));
      }
      return all.map((each) => this.#put(each));
    });
  }

  update<K extends Kind>(resource: ResourceOfKind[K]): Promise<ResourceOfKind[K]> {
    const key = keyOf(resource as AnyResource);
    return this.#write("update", key, () => {
      this.#check(key, resource.metadata.resourceVersion);
      return this.#put(resource as AnyResource) as ResourceOfKind[K];
    });
  }

  delete<K extends Kind>(key: ResourceKey<K>, resourceVersion?: string): Promise<void> {
    return this.#write("delete", key, () => {
      this.#check(key, resourceVersion);
      this.#objects.delete(keyText(key));
    });
  }

  watch(): AsyncIterable<WatchEvent> {
    throw new DatastoreError("Cannot watch", { code: "unavailable" });
  }

  async close(): Promise<void> {
    await yieldTurn();
  }

  async #write<Result>(op: string, key: ResourceKey, act: () => Result): Promise<Result> {
    await yieldTurn();
    this.writes++;
    const pause = this.#faults.before?.(op, key);
    if (pause !== undefined) await pause;
    const result = act();
    this.#faults.after?.(op, key);
    return result;
  }

  #check(key: ResourceKey, resourceVersion: string | undefined): void {
    const present = this.#objects.get(keyText(key));
    if (present === undefined) throw failure("not-found", key);
    if (resourceVersion !== undefined && present.metadata.resourceVersion !== resourceVersion) {
      throw failure("conflict", key);
    }
  }

  #put(resource: AnyResource): AnyResource {
    this.#revision.value++;
    const stored = structuredClone({
      ...resource,
      metadata: { ...resource.metadata, resourceVersion: String(this.#revision.value) },
    }) as AnyResource;
    this.#objects.set(keyText(keyOf(stored)), stored);
    return structuredClone(stored);
  }
}

/** As etcd: of a node's affinities, only those. */
function isAskedFor(object: AnyResource, node: string | undefined): boolean {
  if (node === undefined || object.kind !== "BlockAffinity") return true;
  return object.spec.node === node && (object.spec.type ?? "host") === "host";
}

export function failure(
  code: "not-found" | "already-exists" | "conflict",
  key: ResourceKey,
): DatastoreError {
  return new DatastoreError(`Cannot write ${keyText(key)}: ${code}`, { code, key });
}

function yieldTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
