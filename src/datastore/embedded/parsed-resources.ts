import type { Kind, ResourceOfKind } from "../../api/resource-of-kind.ts";
import type { StoredObject } from "./database.ts";

/** Some 3 MB where all are blocks. */
const kept = 256;

/**
 * Objects that were parsed before: to read one that has not changed takes as long as its row. Of a full
 * block that is 10 us instead of 400. They are frozen, because their readers share them.
 */
export class ParsedResources {
  readonly #parse: (stored: StoredObject) => ResourceOfKind[Kind];
  readonly #known = new Map<string, { revision: number; resource: ResourceOfKind[Kind] }>();

  constructor(parse: (stored: StoredObject) => ResourceOfKind[Kind]) {
    this.#parse = parse;
  }

  get(stored: StoredObject): ResourceOfKind[Kind] {
    const { key, revision } = stored;
    const known = this.#known.get(key);
    if (known?.revision === revision) return known.resource;
    const resource = freeze(this.#parse(stored));
    this.#known.delete(key);
    this.#known.set(key, { revision, resource });
    const [oldest = key] = this.#known.size > kept ? this.#known.keys() : [];
    if (oldest !== key) this.#known.delete(oldest);
    return resource;
  }

  /** A list that is too long would only drive out what is there. */
  list(stored: readonly StoredObject[]): readonly ResourceOfKind[Kind][] {
    return stored.map((each) => (stored.length > kept ? this.#parse(each) : this.get(each)));
  }
}

function freeze<Value>(value: Value): Value {
  if (typeof value !== "object" || value === null) return value;
  for (const part of Object.values(value)) freeze(part);
  return Object.freeze(value);
}
