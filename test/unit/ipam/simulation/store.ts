import { keyOf, keyText, type ResourceKey } from "../../../../src/api/resource-key.ts";
import type { AnyResource, Kind } from "../../../../src/api/resource-of-kind.ts";
import { compareText } from "../../../../src/lib/collections.ts";
import { failure } from "../fake-datastore.ts";

/** One object, before and after a call; undefined where it is absent. */
export interface StoreChange {
  readonly before: AnyResource | undefined;
  readonly written: AnyResource | undefined;
}

/** What is stored. Objects are shared with their readers, and frozen, so that none changes them. */
export class SimStore {
  readonly #objects = new Map<Kind, Map<string, AnyResource>>();
  readonly #sorted = new Map<Kind, readonly AnyResource[]>();
  #revision = 0;
  /** Compare-and-swap is broken: to show that the simulation finds it. */
  ignoresVersions = false;
  /** Hears of each object that is written or deleted. */
  onChange: (key: string, change: StoreChange) => void = () => undefined;

  get revision(): string {
    return String(this.#revision);
  }

  get(key: ResourceKey): AnyResource {
    const found = this.#ofKind(key.kind).get(keyText(key));
    if (found === undefined) throw failure("not-found", key);
    return found;
  }

  list(kind: Kind): readonly AnyResource[] {
    let items = this.#sorted.get(kind);
    if (items === undefined) {
      const sorted = [...this.#ofKind(kind)].sort(([a], [b]) => compareText(a, b));
      items = Object.freeze(sorted.map(([, object]) => object));
      this.#sorted.set(kind, items);
    }
    return items;
  }

  create(resource: AnyResource): AnyResource {
    const key = keyOf(resource);
    if (this.#ofKind(key.kind).has(keyText(key))) throw failure("already-exists", key);
    return this.#put(key, resource);
  }

  update(resource: AnyResource): AnyResource {
    const key = keyOf(resource);
    this.#requireVersion(key, resource.metadata.resourceVersion);
    return this.#put(key, resource);
  }

  delete(key: ResourceKey, resourceVersion?: string): void {
    this.#requireVersion(key, resourceVersion);
    this.#revision++;
    const text = keyText(key);
    const before = this.#ofKind(key.kind).get(text);
    this.#ofKind(key.kind).delete(text);
    this.#sorted.delete(key.kind);
    this.onChange(text, { before, written: undefined });
  }

  #requireVersion(key: ResourceKey, version: string | undefined): void {
    const present = this.get(key);
    if (version === undefined || this.ignoresVersions) return;
    if (present.metadata.resourceVersion !== version) throw failure("conflict", key);
  }

  #put(key: ResourceKey, resource: AnyResource): AnyResource {
    this.#revision++;
    const metadata = { ...resource.metadata, resourceVersion: String(this.#revision) };
    const stored = freeze(structuredClone({ ...resource, metadata })) as AnyResource;
    const text = keyText(key);
    const before = this.#ofKind(key.kind).get(text);
    this.#ofKind(key.kind).set(text, stored);
    this.#sorted.delete(key.kind);
    this.onChange(text, { before, written: stored });
    return stored;
  }

  #ofKind(kind: Kind): Map<string, AnyResource> {
    let objects = this.#objects.get(kind);
    if (objects === undefined) {
      objects = new Map();
      this.#objects.set(kind, objects);
    }
    return objects;
  }
}

function freeze<Value>(value: Value): Value {
  if (typeof value !== "object" || value === null) return value;
  for (const part of Object.values(value)) freeze(part);
  return Object.freeze(value);
}
