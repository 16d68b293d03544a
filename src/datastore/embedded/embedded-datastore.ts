import { join } from "node:path";
import { kinds as kindTable } from "../../api/kinds.ts";
import type { ResourceKey } from "../../api/resource-key.ts";
import { keyOf, keyText } from "../../api/resource-key.ts";
import type { AnyResource, Kind, ResourceOfKind } from "../../api/resource-of-kind.ts";
import { parseBigJson, stringifyBigJson } from "../../lib/big-json.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { textOfBlock, textOfFields } from "../block-text.ts";
import {
  type Datastore,
  DatastoreError,
  type ListOptions,
  type ResourceList,
  type WatchEvent,
  type Write,
} from "../datastore.ts";
import {
  inOrder,
  objectRefused,
  prepareForCreate,
  prepareForUpdate,
  withBigSequences,
} from "../stored-metadata.ts";
import { type Change, Database, type StoredChange, type StoredObject } from "./database.ts";
import { KnownAnswers } from "./known-answers.ts";
import { ParsedResources } from "./parsed-resources.ts";

export interface EmbeddedOptions {
  /** An absent datastore is then an error, and writes are. */
  readonly readOnly?: boolean;
  /** How long a write waits for another process's, at most: 5 s unless given. */
  readonly lockPatienceMs?: number;
  /** Changes kept for watchers that resume: 20,000 unless given. */
  readonly keptChanges?: number;
  readonly clock?: Clock;
}

/** Changes read at once; between two readings other work goes on. */
const changesAtOnce = 500;

/**
 * Opens (and makes) the datastore in `folder`. Several processes of one host may do so at once.
 *
 * @throws {DatastoreError} unavailable, naming the file.
 */
export function openEmbeddedDatastore(folder: string, options: EmbeddedOptions = {}): Datastore {
  const { readOnly = false, lockPatienceMs = 5_000, keptChanges = 20_000 } = options;
  const { clock = systemClock } = options;
  const config = { path: join(folder, "tortie.db"), readOnly, lockPatienceMs, keptChanges };
  try {
    return new EmbeddedDatastore(new Database(config, clock), clock);
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
  readonly #clock: Clock;
  readonly #parsed = new ParsedResources(resourceOf);
  readonly #known: KnownAnswers;
  #closed = false;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
    this.#known = new KnownAnswers((revision) => database.kindsChangedAfter(revision));
  }

  async get<K extends Kind>(key: ResourceKey<K>): Promise<ResourceOfKind[K]> {
    const path = keyText(key);
    const [found] = this.#read(() => this.#known.get(key.kind, path, () => this.#get(path))).items;
    if (found === undefined) throw objectRefused("not-found", key);
    return found as ResourceOfKind[K];
  }

  async list<K extends Kind>(
    kind: K,
    options: ListOptions = {},
  ): Promise<ResourceList<ResourceOfKind[K]>> {
    const { namespace } = options;
    const prefix = namespace === undefined ? `${kind}/` : `${kind}/${namespace}/`;
    const { items, revision } = this.#read(() =>
      this.#known.get(kind, prefix, () => this.#list(prefix)),
    );
    const known = this.#known.revision;
    // Since the answer was kept, none of the kind was changed.
    return {
      items: items as readonly ResourceOfKind[K][],
      revision: String(Math.max(revision, known)),
    };
  }

  async names(kind: Kind): Promise<readonly string[]> {
    const keys = this.#read(() => this.#database.keys(`${kind}/`));
    return keys.map((key) => keyOfText(key, kind).name);
  }

  async create<K extends Kind>(resource: ResourceOfKind[K]): Promise<ResourceOfKind[K]> {
    return await this.#put({ verb: "create", resource: resource as AnyResource });
  }

  async update<K extends Kind>(resource: ResourceOfKind[K]): Promise<ResourceOfKind[K]> {
    return await this.#put({ verb: "update", resource: resource as AnyResource });
  }

  async delete<K extends Kind>(key: ResourceKey<K>, resourceVersion?: string): Promise<void> {
    const check = (present: number | undefined) => {
      if (present === undefined) throw objectRefused("not-found", key);
      if (resourceVersion !== undefined) requireVersion(present, resourceVersion, key);
    };
    await this.#write([{ key: keyText(key), kind: key.kind, value: null, check }]);
  }

  async writeAll(writes: readonly Write[]): Promise<readonly ResourceOfKind[Kind][]> {
    const resources = writes.map(({ verb, resource }) =>
      verb === "create" ? prepareForCreate(resource, this.#clock) : prepareForUpdate(resource),
    );
    const revisions = await this.#write(
      writes.map((write, index) => changeOf(write, resources[index] ?? write.resource)),
    );
    return resources.map((resource, index) => {
      // Not parsed again: of a block that takes as long as the write.
      const metadata = { ...resource.metadata, resourceVersion: String(revisions[index]) };
      return { ...resource, metadata } as ResourceOfKind[Kind];
    });
  }

  createAll(resources: readonly ResourceOfKind[Kind][]): Promise<readonly ResourceOfKind[Kind][]> {
    return this.writeAll(resources.map((resource) => ({ verb: "create", resource })));
  }

  async *watch(
    kinds: readonly Kind[],
    revision: string,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent> {
    const wanted = new Set<string>(kinds);
    let seen = /^\d+$/.test(revision) ? Number(revision) : Number.NaN;
    let heard = false;
    let wake: () => void = () => undefined;
    const hear = () => {
      heard = true;
      wake();
    };
    const unlisten = this.#database.doorbell.listen(hear);
    signal.addEventListener("abort", hear, { once: true });
    try {
      while (!signal.aborted) {
        heard = false;
        const changes = this.#changesAfter(seen, revision);
        for (const change of changes) {
          if (signal.aborted) return;
          seen = change.revision;
          if (wanted.has(change.kind)) yield eventOf(change);
        }
        if (changes.length > 0) {
          yield { kind: "progress", revision: String(seen) };
          await new Promise<void>((resolve) => this.#clock.setTimer(0, resolve));
        } else if (!heard) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      unlisten();
      signal.removeEventListener("abort", hear);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#database.close();
  }

  #get(path: string): { readonly items: readonly ResourceOfKind[Kind][] } {
    const stored = this.#database.get(path);
    return { items: stored === undefined ? [] : [this.#parsed.get(stored)] };
  }

  #list(prefix: string): { readonly items: readonly ResourceOfKind[Kind][]; revision: number } {
    const { objects, revision } = this.#database.list(prefix);
    return { items: Object.freeze(inOrder(this.#parsed.list(objects))), revision };
  }

  #changesAfter(seen: number, asked: string): StoredChange[] {
    const changes = Number.isSafeInteger(seen)
      ? this.#read(() => this.#database.changesAfter(seen, changesAtOnce))
      : undefined;
    if (changes !== undefined) return changes;
    throw new DatastoreError(`Cannot watch from revision ${asked}: it is not known any more`, {
      code: "compacted",
      revision: asked,
    });
  }

  async #put<K extends Kind>(write: Write): Promise<ResourceOfKind[K]> {
    const [written] = await this.writeAll([write]);
    return written as ResourceOfKind[K];
  }

  #read<Result>(task: () => Result): Result {
    try {
      return task();
    } catch (cause) {
      throw unavailable("Cannot read the embedded datastore", cause);
    }
  }

  async #write(changes: readonly Change[]): Promise<readonly number[]> {
    try {
      const revisions = await this.#database.write(changes);
      this.#known.wrote(
        changes.map(({ kind }) => kind),
        revisions,
      );
      return revisions;
    } catch (cause) {
      if (cause instanceof DatastoreError) throw cause;
      throw unavailable("Cannot write to the embedded datastore", cause);
    }
  }
}

/** `prepared` is what to store of the resource that is to be written. */
function changeOf({ verb, resource }: Write, prepared: ResourceOfKind[Kind]): Change {
  const key = keyOf(resource) as ResourceKey;
  const check = (present: number | undefined) => {
    if (verb === "update") requireVersion(present, resource.metadata.resourceVersion, key);
    else if (present !== undefined) throw objectRefused("already-exists", key);
  };
  return { key: keyText(key), kind: key.kind, value: textOfResource(prepared), check };
}

function requireVersion(
  present: number | undefined,
  version: string | undefined,
  key: ResourceKey,
): void {
  if (present === undefined) throw objectRefused("not-found", key);
  if (String(present) !== version) throw objectRefused("conflict", key);
}

function textOfResource(resource: ResourceOfKind[Kind]): string {
  if (resource.kind !== "IPAMBlock") return stringifyBigJson(resource);
  return textOfFields({ ...resource }, { spec: textOfBlock });
}

/** The version is not stored in the value: it is the revision of the row. */
function resourceOf({
  value,
  revision,
}: Pick<StoredObject, "value" | "revision">): ResourceOfKind[Kind] {
  const { metadata, ...rest } = parseBigJson(value) as ResourceOfKind[Kind];
  const spec = rest.kind === "IPAMBlock" ? withBigSequences({ ...rest.spec }) : rest.spec;
  const versioned = { ...metadata, resourceVersion: String(revision) };
  return { ...rest, metadata: versioned, spec } as ResourceOfKind[Kind];
}

function eventOf({ key, kind, value, revision }: StoredChange): WatchEvent {
  if (value === null) {
    return { kind: "deleted", key: keyOfText(key, kind as Kind), revision: String(revision) };
  }
  const resource = resourceOf({ value, revision });
  return { kind: "set", key: keyOf(resource), resource, revision: String(revision) };
}

function keyOfText(text: string, kind: Kind): ResourceKey {
  const path = text.slice(kind.length + 1);
  const at = kindTable[kind].namespaced ? path.indexOf("/") : -1;
  if (at < 0) return { kind, name: path };
  return { kind, namespace: path.slice(0, at), name: path.slice(at + 1) };
}
