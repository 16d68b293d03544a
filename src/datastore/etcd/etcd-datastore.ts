import type { Etcd3, ICompare, IKeyValue, IRequestOp } from "etcd3";
import { keyOf, keyText, type ResourceKey } from "../../api/resource-key.ts";
import type { AnyResource, Kind, ResourceOfKind } from "../../api/resource-of-kind.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import {
  type Datastore,
  DatastoreError,
  type ListOptions,
  type ResourceList,
  type WatchEvent,
} from "../datastore.ts";
import { inOrder, objectRefused, prepareForCreate, prepareForUpdate } from "../stored-metadata.ts";
import { createEtcdClient, type EtcdConfig, unavailable } from "./etcd-client.ts";
import { watchEtcd } from "./etcd-watch.ts";
import {
  keyOfPath,
  kindPrefixes,
  otherPrefixesOfKey,
  pathOfResource,
  pathsOfKey,
  rangeOfPrefix,
} from "./keys.ts";
import { decode, resourceOf, textOfResource } from "./values.ts";

export interface EtcdOptions {
  /** Longest time of one request: 5 s unless given. etcd3 has none of its own. */
  readonly deadlineMs?: number;
  /** A watch that is silent for so long is checked: 10 s unless given. */
  readonly silenceMs?: number;
  readonly clock?: Clock;
}

/** Keys that one answer holds. */
const pageSize = 1_000;
/** What etcd takes in one transaction by default. */
const maxOperations = 128;

/** Opens a datastore on etcd with Calico's layout. Nothing is asked of the server yet. */
export async function openEtcdDatastore(
  config: EtcdConfig,
  options: EtcdOptions = {},
): Promise<Datastore> {
  const { deadlineMs = 5_000, silenceMs = 10_000, clock = systemClock } = options;
  const client = await createEtcdClient(config, { deadlineMs, clock });
  return new EtcdDatastore(client, { deadlineMs, silenceMs, clock });
}

class EtcdDatastore implements Datastore {
  readonly #client: Etcd3;
  readonly #deadlineMs: number;
  readonly #silenceMs: number;
  readonly #clock: Clock;

  constructor(client: Etcd3, { deadlineMs, silenceMs, clock }: Required<EtcdOptions>) {
    this.#client = client;
    this.#deadlineMs = deadlineMs;
    this.#silenceMs = silenceMs;
    this.#clock = clock;
  }

  async get<K extends Kind>(key: ResourceKey<K>): Promise<ResourceOfKind[K]> {
    for (const path of pathsOfKey(key)) {
      const found = await this.#read(path);
      if (found !== undefined) return mustDecode<K>(found);
    }
    for (const path of await this.#otherPathsOf(key)) {
      const found = await this.#read(path);
      if (found !== undefined) return mustDecode<K>(found);
    }
    throw objectRefused("not-found", key);
  }

  async list<K extends Kind>(
    kind: K,
    options: ListOptions = {},
  ): Promise<ResourceList<ResourceOfKind[K]>> {
    const items: ResourceOfKind[K][] = [];
    let revision: string | undefined;
    for (const prefix of kindPrefixes(kind, options.namespace)) {
      for (let { start, end } = rangeOfPrefix(prefix), more = true; more; ) {
        const request = {
          key: Buffer.from(start),
          range_end: Buffer.from(end),
          limit: pageSize,
          // Every page is of the revision of the first.
          ...(revision === undefined ? {} : { revision }),
        };
        const answer = await this.#call(() => this.#client.kv.range(request));
        revision ??= answer.header.revision;
        for (const kv of answer.kvs) {
          if (keyOfPath(kv.key.toString())?.kind !== kind) continue;
          const resource = decode(kv);
          if (resource !== undefined) items.push(resource as ResourceOfKind[K]);
        }
        more = answer.more;
        start = `${answer.kvs.at(-1)?.key}\0`;
      }
    }
    return { items: inOrder(items), revision: revision ?? "0" };
  }

  async create<K extends Kind>(resource: ResourceOfKind[K]): Promise<ResourceOfKind[K]> {
    const prepared = prepareForCreate(resource, this.#clock);
    const path = pathOfResource(prepared);
    const value = textOfResource(prepared);
    const written = await this.#write(absent(path), put(path, value));
    if (!written.succeeded) throw objectRefused("already-exists", keyOf(resource as AnyResource));
    return resourceOf(path, value, written.revision) as ResourceOfKind[K];
  }

  async update<K extends Kind>(resource: ResourceOfKind[K]): Promise<ResourceOfKind[K]> {
    const prepared = prepareForUpdate(resource);
    const path = pathOfResource(prepared);
    const value = textOfResource(prepared);
    const condition = unchangedSince(path, resource.metadata.resourceVersion);
    const written = await this.#write(condition, put(path, value));
    if (!written.succeeded) throw refused(written.present, keyOf(resource as AnyResource));
    return resourceOf(path, value, written.revision) as ResourceOfKind[K];
  }

  async delete<K extends Kind>(key: ResourceKey<K>, resourceVersion?: string): Promise<void> {
    for (const path of pathsOfKey(key)) {
      if (await this.#deletePath(path, key, resourceVersion)) return;
    }
    for (const path of await this.#otherPathsOf(key)) {
      if (await this.#deletePath(path, key, resourceVersion)) return;
    }
    throw objectRefused("not-found", key);
  }

  watch(kinds: readonly Kind[], revision: string, signal: AbortSignal): AsyncIterable<WatchEvent> {
    const ports = { client: this.#client, clock: this.#clock, silenceMs: this.#silenceMs };
    return watchEtcd({ kinds, revision }, ports, signal);
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  async #read(path: string): Promise<IKeyValue | undefined> {
    const { kvs } = await this.#call(() => this.#client.kv.range({ key: Buffer.from(path) }));
    return kvs[0];
  }

  /** False when nothing is there. */
  async #deletePath(path: string, key: ResourceKey, version?: string): Promise<boolean> {
    const condition = version === undefined ? existing(path) : unchangedSince(path, version);
    const gone = { request_delete_range: { key: Buffer.from(path) } };
    const { succeeded, present } = await this.#write(condition, gone);
    if (!succeeded && present) throw refused(present, key);
    return succeeded;
  }

  /** Existing paths of a key that its name does not tell. */
  async #otherPathsOf(key: ResourceKey): Promise<readonly string[]> {
    const wanted = keyText(key);
    const paths: string[] = [];
    const prefixes = otherPrefixesOfKey(key);
    for (let from = 0; from < prefixes.length; from += maxOperations) {
      const success = prefixes.slice(from, from + maxOperations).map(keysUnder);
      const { responses } = await this.#call(() =>
        this.#client.kv.txn({ compare: [], success, failure: [] }),
      );
      for (const kv of responses.flatMap(({ response_range }) => response_range?.kvs ?? [])) {
        const path = kv.key.toString();
        const found = keyOfPath(path);
        if (found !== undefined && keyText(found) === wanted) paths.push(path);
      }
    }
    return paths;
  }

  /** Carries out `operation` if `condition` holds; tells whether the object is there if not. */
  async #write(
    condition: ICompare,
    operation: IRequestOp,
  ): Promise<{
    readonly succeeded: boolean;
    readonly present: boolean;
    readonly revision: string;
  }> {
    const look = { request_range: { key: condition.key as Buffer, count_only: true } };
    const { succeeded, header, responses } = await this.#call(() =>
      this.#client.kv.txn({ compare: [condition], success: [operation], failure: [look] }),
    );
    const present = responses.some(({ response_range }) => Number(response_range?.count ?? 0) > 0);
    return { succeeded, present, revision: header.revision };
  }

  async #call<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    // Trying the next endpoint, and logging in, prolong a call: this deadline is final.
    const patienceMs = this.#deadlineMs + 1_000;
    const cancel = this.#clock.setTimer(patienceMs, () =>
      reject(new Error(`no answer in ${patienceMs} ms`)),
    );
    try {
      return await Promise.race([ask(), late]);
    } catch (cause) {
      throw unavailable(cause);
    } finally {
      cancel();
    }
  }
}

function put(path: string, value: string): IRequestOp {
  return { request_put: { key: Buffer.from(path), value: Buffer.from(value) } };
}

function keysUnder(prefix: string): IRequestOp {
  const { start, end } = rangeOfPrefix(prefix);
  const request_range = { key: Buffer.from(start), range_end: Buffer.from(end), keys_only: true };
  return { request_range };
}

function absent(path: string): ICompare {
  return { key: Buffer.from(path), target: "Version", result: "Equal", version: "0" };
}

function existing(path: string): ICompare {
  return { key: Buffer.from(path), target: "Version", result: "Greater", version: "0" };
}

/** A version that is no revision matches nothing: no key was written at -1. */
function unchangedSince(path: string, version: string | undefined): ICompare {
  const revision = /^[1-9]\d{0,18}$/.test(version ?? "") ? version : undefined;
  return { key: Buffer.from(path), target: "Mod", result: "Equal", mod_revision: revision ?? "-1" };
}

function refused(present: boolean, key: ResourceKey): DatastoreError {
  return objectRefused(present ? "conflict" : "not-found", key);
}

/** @throws {DatastoreError} corrupt */
function mustDecode<K extends Kind>(kv: IKeyValue): ResourceOfKind[K] {
  const key = kv.key.toString();
  const resource = decode(kv);
  if (resource !== undefined) return resource as ResourceOfKind[K];
  throw new DatastoreError(`Cannot read ${key} of etcd: its value is no resource`, {
    code: "corrupt",
    key,
  });
}
