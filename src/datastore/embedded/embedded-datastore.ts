import { join } from "node:path";
import type { ResourceKey } from "../../api/resource-key.ts";
import { keyOf, keyText } from "../../api/resource-key.ts";
import type { Kind, ResourceOfKind } from "../../api/resource-of-kind.ts";
import { parseBigJson, stringifyBigJson } from "../../lib/big-json.ts";
import {
  type Datastore,
  DatastoreError,
  type ListOptions,
  type ResourceList,
  type WatchEvent,
} from "../datastore.ts";
import { objectRefused, prepareForCreate, prepareForUpdate } from "../stored-metadata.ts";
import {
  Database,
  type DatabaseOptions,
  Refused,
  type StoredChange,
  type StoredObject,
} from "./database.ts";

const changesAtOnce = 500;

/** Opens (and makes) the datastore in `folder`. Several processes of one host may do so at once. */
export function openEmbeddedDatastore(folder: string, options: DatabaseOptions = {}): Datastore {
  return new EmbeddedDatastore(open(folder, options));
}

function open(folder: string, options: DatabaseOptions): Database {
  try {
    return new Database(join(folder, "tortie.db"), options);
  } catch (cause) {
    throw unavailable(`Cannot open the embedded datastore in ${folder}`, cause);
  }
}

function unavailable(what: string, cause: unknown): DatastoreError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new DatastoreError(`${what}: ${why}`, { code: "unavailable" }, { cause });
}

class EmbeddedDatastore implements Datastore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async get<K extends Kind>(key: ResourceKey<K>): Promise<ResourceOfKind[K]> {
    const stored = this.#database.get(keyText(key));
    if (stored === undefined) throw objectRefused("not-found", key);
    return resourceOf<K>(stored);
  }

  async list<K extends Kind>(
    kind: K,
    options: ListOptions = {},
  ): Promise<ResourceList<ResourceOfKind[K]>> {
    const { namespace } = options;
    const prefix = namespace === undefined ? `${kind}/` : `${kind}/${namespace}/`;
    const { objects, revision } = this.#database.list(kind, prefix);
    return { items: objects.map((stored) => resourceOf<K>(stored)), revision: String(revision) };
  }

  async create<K extends Kind>(resource: ResourceOfKind[K]): Promise<ResourceOfKind[K]> {
    const prepared = prepareForCreate(resource);
    return this.#write(prepared, (present) => {
      if (present !== undefined) throw new Refused("exists");
    });
  }

  async update<K extends Kind>(resource: ResourceOfKind[K]): Promise<ResourceOfKind[K]> {
    const { resourceVersion } = resource.metadata;
    return this.#write(prepareForUpdate(resource), (present) =>
      requireVersion(present, resourceVersion),
    );
  }

  async delete<K extends Kind>(key: ResourceKey<K>, resourceVersion?: string): Promise<void> {
    this.#guard(key, () => {
      this.#database.write({ key: keyText(key), kind: key.kind }, null, (present) => {
        if (present === undefined) throw new Refused("missing");
        if (resourceVersion !== undefined) requireVersion(present, resourceVersion);
      });
    });
  }

  async *watch(
    kinds: readonly Kind[],
    revision: string,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent> {
    const wanted = new Set<string>(kinds);
    let seen = Number(revision);
    let rung: () => void = () => undefined;
    let heard = true;
    const hear = () => {
      heard = true;
      rung();
    };
    const unlisten = this.#database.doorbell.listen(hear);
    signal.addEventListener("abort", hear, { once: true });
    try {
      while (!signal.aborted) {
        heard = false;
        const changes = this.#changesAfter(seen, revision);
        for (const change of changes) {
          seen = change.revision;
          if (wanted.has(change.kind)) yield eventOf(change);
        }
        if (changes.length > 0) yield { kind: "progress", revision: String(seen) };
        else if (!heard) {
          await new Promise<void>((resolve) => {
            rung = resolve;
          });
        }
      }
    } finally {
      unlisten();
      signal.removeEventListener("abort", hear);
    }
  }

  async close(): Promise<void> {
    this.#database.close();
  }

  #changesAfter(seen: number, asked: string): StoredChange[] {
    const oldest = this.#database.oldestChange();
    if (seen + 1 < oldest || seen > this.#database.revision()) {
      throw new DatastoreError(`Cannot watch from revision ${asked}: it is compacted`, {
        code: "compacted",
        revision: asked,
      });
    }
    return this.#database.changesAfter(seen, changesAtOnce);
  }

  #write<K extends Kind>(
    resource: ResourceOfKind[K],
    check: (present: StoredObject | undefined) => void,
  ): ResourceOfKind[K] {
    const key = keyOf(resource) as ResourceKey<K>;
    const value = stringifyBigJson(resource);
    const revision = this.#guard(key, () =>
      this.#database.write({ key: keyText(key), kind: key.kind }, value, check),
    );
    return resourceOf<K>({ value, revision });
  }

  #guard<Result>(key: ResourceKey, task: () => Result): Result {
    try {
      return task();
    } catch (error) {
      if (!(error instanceof Refused))
        throw unavailable("Cannot write to the embedded datastore", error);
      const codes = {
        exists: "already-exists",
        missing: "not-found",
        changed: "conflict",
      } as const;
      throw objectRefused(codes[error.reason], key);
    }
  }
}

function requireVersion(present: StoredObject | undefined, version: string | undefined): void {
  if (present === undefined) throw new Refused("missing");
  if (String(present.revision) !== version) throw new Refused("changed");
}

/** The version is not stored in the value: it is the revision of the row. */
function resourceOf<K extends Kind>({
  value,
  revision,
}: Pick<StoredObject, "value" | "revision">): ResourceOfKind[K] {
  const resource = parseBigJson(value) as ResourceOfKind[K];
  return {
    ...resource,
    metadata: { ...resource.metadata, resourceVersion: String(revision) },
  };
}

function eventOf({ key, kind, value, revision }: StoredChange): WatchEvent {
  if (value === null) {
    return { kind: "deleted", key: keyOfText(key, kind as Kind), revision: String(revision) };
  }
  const resource = resourceOf({ value, revision });
  return { kind: "set", key: keyOf(resource), resource, revision: String(revision) };
}

function keyOfText(text: string, kind: Kind): ResourceKey {
  const [, first = "", second] = text.split("/");
  return second === undefined ? { kind, name: first } : { kind, namespace: first, name: second };
}
