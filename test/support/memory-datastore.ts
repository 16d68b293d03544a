import { keyOf, keyText, type ResourceKey } from "../../src/api/resource-key.ts";
import type { AnyResource, Kind, ResourceOfKind } from "../../src/api/resource-of-kind.ts";
import {
  type Datastore,
  DatastoreError,
  type DatastoreFailure,
  type ListOptions,
  type ResourceList,
  type WatchEvent,
} from "../../src/datastore/datastore.ts";
import { compareText } from "../../src/lib/collections.ts";

type Operation = "get" | "list" | "create" | "update" | "delete";

/** A datastore in memory that keeps the contract, and fails when it is told to. */
export class MemoryDatastore implements Datastore {
  readonly #objects = new Map<string, AnyResource>();
  readonly #events: WatchEvent[] = [];
  #oldest = 0;
  readonly #failures: { operation: Operation; before: () => unknown }[] = [];
  readonly #wakes = new Set<() => void>();
  closed = false;

  constructor(resources: readonly AnyResource[] = []) {
    for (const resource of resources) this.#put(resource);
  }

  /** The next such call fails with this error, or runs this first. */
  next(operation: Operation, before: Error | (() => unknown)): void {
    const run = () => {
      if (before instanceof Error) throw before;
      return before();
    };
    this.#failures.push({ operation, before: run });
  }

  /** What is stored, by key text, without versions and times. */
  contents(): Record<string, unknown> {
    return Object.fromEntries(
      [...this.#objects].map(([key, { metadata, ...rest }]) => {
        const { resourceVersion: _version, uid: _uid, ...kept } = metadata;
        return [key, { ...rest, metadata: kept }];
      }),
    );
  }

  async get<K extends Kind>(key: ResourceKey<K>): Promise<ResourceOfKind[K]> {
    await this.#before("get");
    const found = this.#objects.get(keyText(key));
    if (found === undefined) throw failure("not-found", key);
    return structuredClone(found) as ResourceOfKind[K];
  }

  async list<K extends Kind>(
    kind: K,
    { namespace }: ListOptions = {},
  ): Promise<ResourceList<ResourceOfKind[K]>> {
    await this.#before("list");
    const items = [...this.#objects.values()]
      .filter((object) => object.kind === kind)
      .filter(({ metadata }) => namespace === undefined || metadata.namespace === namespace)
      .sort((a, b) => compareText(keyText(keyOf(a)), keyText(keyOf(b))));
    return {
      items: structuredClone(items) as unknown as ResourceOfKind[K][],
      revision: String(this.#events.length),
    };
  }

  async create<K extends Kind>(resource: ResourceOfKind[K]): Promise<ResourceOfKind[K]> {
    await this.#before("create");
    const key = keyOf(resource as AnyResource);
    if (this.#objects.has(keyText(key))) throw failure("already-exists", key);
    return this.#put(resource as AnyResource) as ResourceOfKind[K];
  }

  async update<K extends Kind>(resource: ResourceOfKind[K]): Promise<ResourceOfKind[K]> {
    await this.#before("update");
    this.#requireVersion(keyOf(resource as AnyResource), resource.metadata.resourceVersion);
    return this.#put(resource as AnyResource) as ResourceOfKind[K];
  }

  async delete<K extends Kind>(key: ResourceKey<K>, resourceVersion?: string): Promise<void> {
    await this.#before("delete");
    const present = this.#objects.get(keyText(key));
    this.#requireVersion(key, resourceVersion ?? present?.metadata.resourceVersion);
    this.#objects.delete(keyText(key));
    this.#emit({ kind: "deleted", key, revision: String(this.#events.length + 1) });
  }

  async *watch(
    kinds: readonly Kind[],
    revision: string,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent> {
    if (Number(revision) < this.#oldest) {
      throw new DatastoreError(`${revision}: compacted`, { code: "compacted", revision });
    }
    for (let at = Number(revision); !signal.aborted; ) {
      const event = this.#events[at];
      if (event === undefined) {
        await this.#changed(signal);
        continue;
      }
      at++;
      if (event.kind === "progress" || kinds.includes(event.key.kind)) yield event;
    }
  }

  /** Makes a watch from any revision before this impossible. */
  compact(revision: string): void {
    this.#oldest = Number(revision);
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  async #before(operation: Operation): Promise<void> {
    const index = this.#failures.findIndex((planned) => planned.operation === operation);
    if (index >= 0) await this.#failures.splice(index, 1)[0]?.before();
  }

  #requireVersion(key: ResourceKey, version: string | undefined): void {
    const present = this.#objects.get(keyText(key));
    if (present === undefined) throw failure("not-found", key);
    if (present.metadata.resourceVersion !== version) throw failure("conflict", key);
  }

  #put(resource: AnyResource): AnyResource {
    const revision = String(this.#events.length + 1);
    const uid = resource.metadata.uid ?? `uid-${revision}`;
    const metadata = { ...resource.metadata, uid, resourceVersion: revision };
    const stored = { ...structuredClone(resource), metadata } as AnyResource;
    const key = keyOf(stored);
    this.#objects.set(keyText(key), stored);
    this.#emit({ kind: "set", key, resource: stored, revision });
    return structuredClone(stored);
  }

  #emit(event: WatchEvent): void {
    this.#events.push(event);
    for (const wake of this.#wakes) wake();
  }

  async #changed(signal: AbortSignal): Promise<void> {
    let wake: () => void = () => undefined;
    const woken = new Promise<void>((resolve) => {
      wake = resolve;
    });
    this.#wakes.add(wake);
    signal.addEventListener("abort", wake, { once: true });
    await woken;
    this.#wakes.delete(wake);
    signal.removeEventListener("abort", wake);
  }
}

function failure(code: "not-found" | "already-exists" | "conflict", key: ResourceKey): Error {
  const detail: DatastoreFailure = { code, key };
  return new DatastoreError(`${keyText(key)}: ${code}`, detail);
}
