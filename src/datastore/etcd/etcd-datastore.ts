import type { Etcd3, ICompare, IKeyValue, IRangeRequest, IRequestOp } from "etcd3";
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
import { Batch, type RangeAnswer } from "./batch.ts";
import { createEtcdClient, type EtcdConfig, unavailable } from "./etcd-client.ts";
import { watchEtcd } from "./etcd-watch.ts";
import {
  affinityPrefix,
  type KeyRange,
  keyOfPath,
  kindPrefixes,
  otherPrefixesOfKey,
  pathOfResource,
  pathsOfKey,
  rangeOfPrefix,
} from "./keys.ts";
import { decode, textOfResource, writtenResource } from "./values.ts";

export interface EtcdOptions {
  /** Longest time of one request: 5 s unless given. etcd3 has none of its own. */
  readonly deadlineMs?: number;
  /** A watch that is silent for so long is checked: 10 s unless given. */
  readonly silenceMs?: number;
  readonly clock?: Clock;
}

/** Keys that one answer holds. */
const pageSize = 1_000;

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
  readonly #batch: Batch;
  readonly #deadlineMs: number;
  readonly #silenceMs: number;
  readonly #clock: Clock;

  constructor(client: Etcd3, { deadlineMs, silenceMs, clock }: Required<EtcdOptions>) {
    this.#client = client;
    this.#batch = new Batch(client);
    this.#deadlineMs = deadlineMs;
    this.#silenceMs = silenceMs;
    this.#clock = clock;
  }

  async get<K extends Kind>(key: ResourceKey<K>): Promise<ResourceOfKind[K]> {
    const likely = await Promise.all(pathsOfKey(key).map((path) => this.#read(path)));
    const found =
      likely.find((each) => each !== undefined) ??
      (await Promise.all((await this.#otherPathsOf(key)).map((path) => this.#read(path)))).find(
        (each) => each !== undefined,
      );
    if (found !== undefined) return mustDecode<K>(found);
    throw objectRefused("not-found", key);
  }

  async list<K extends Kind>(
    kind: K,
    options: ListOptions = {},
  ): Promise<ResourceList<ResourceOfKind[K]>> {
    const { namespace, node } = options;
    const prefixes =
      kind === "BlockAffinity" && node !== undefined
        ? [affinityPrefix(node)]
        : kindPrefixes(kind, namespace);
    const ranges = prefixes.map(rangeOfPrefix);
    const firsts = await Promise.all(ranges.map((range) => this.#page(range)));
    const revision = firsts[0]?.revision ?? "0";
    const kvs: IKeyValue[] = [];
    for (const [index, first] of firsts.entries()) {
      const { start, end } = ranges[index] ?? rangeOfPrefix("");
      // Every page is of one revision.
      let page = first.revision === revision ? first : await this.#page({ start, end }, revision);
      for (;;) {
        kvs.push(...page.kvs);
        if (!page.more) break;
        page = await this.#page({ start: `${page.kvs.at(-1)?.key}\0`, end }, revision);
      }
    }
    const { items, unreadable } = decodeAll(kvs, kind);
    const whole = { items: inOrder(items), revision };
    return unreadable.length === 0 ? whole : { ...whole, unreadable };
  }

  #page({ start, end }: KeyRange, revision?: string): Promise<RangeAnswer> {
    const range = { key: Buffer.from(start), range_end: Buffer.from(end), limit: pageSize };
    return this.#call(() => this.#range(revision === undefined ? range : { ...range, revision }));
  }

  /** Of all: keys are enough. */
  async names(kind: Kind): Promise<readonly string[]> {
    const answers = await this.#call(() =>
      Promise.all(kindPrefixes(kind).map((prefix) => this.#batch.read(keysUnder(prefix)))),
    );
    const keys = answers.flatMap(({ kvs }) => kvs.map((kv) => keyOfPath(kv.key.toString())));
    return keys.flatMap((key) => (key?.kind === kind ? [key.name] : []));
  }

  async create<K extends Kind>(resource: ResourceOfKind[K]): Promise<ResourceOfKind[K]> {
    const [created] = await this.createAll([resource as AnyResource]);
    return created as ResourceOfKind[K];
  }

  async createAll(
    resources: readonly ResourceOfKind[Kind][],
  ): Promise<readonly ResourceOfKind[Kind][]> {
    const puts = resources.map((each) => {
      const resource = prepareForCreate(each, this.#clock) as AnyResource;
      return { resource, path: pathOfResource(resource), text: textOfResource(resource) };
    });
    const { succeeded, present, revision } = await this.#write(
      puts.map(({ path, text }) => ({ condition: absent(path), operation: put(path, text) })),
    );
    if (!succeeded) {
      const there = resources[Math.max(present.indexOf(true), 0)] as AnyResource;
      throw objectRefused("already-exists", keyOf(there));
    }
    return puts.map(({ path, ...put }) => writtenResource(path, put, revision) as AnyResource);
  }

  async update<K extends Kind>(resource: ResourceOfKind[K]): Promise<ResourceOfKind[K]> {
    const prepared = prepareForUpdate(resource);
    const path = pathOfResource(prepared);
    const text = textOfResource(prepared);
    const condition = unchangedSince(path, resource.metadata.resourceVersion);
    const written = await this.#write([{ condition, operation: put(path, text) }]);
    if (!written.succeeded) throw refused(written.present[0], keyOf(resource as AnyResource));
    return writtenResource(
      path,
      { resource: prepared as AnyResource, text },
      written.revision,
    ) as ResourceOfKind[K];
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
    const { kvs } = await this.#call(() => this.#range({ key: Buffer.from(path) }));
    return kvs[0];
  }

  async #range(request: IRangeRequest): Promise<RangeAnswer> {
    if (request.revision === undefined) return await this.#batch.read(request);
    const { kvs, more, header } = await this.#client.kv.range(request);
    return { kvs, more, revision: header.revision };
  }

  /** False when nothing is there. */
  async #deletePath(path: string, key: ResourceKey, version?: string): Promise<boolean> {
    const condition = version === undefined ? existing(path) : unchangedSince(path, version);
    const gone = { request_delete_range: { key: Buffer.from(path) } };
    const { succeeded, present } = await this.#write([{ condition, operation: gone }]);
    if (!succeeded && present[0] === true) throw refused(true, key);
    return succeeded;
  }

  /** Existing paths of a key that its name does not tell. */
  async #otherPathsOf(key: ResourceKey): Promise<readonly string[]> {
    const wanted = keyText(key);
    const answers = await this.#call(() =>
      Promise.all(otherPrefixesOfKey(key).map((prefix) => this.#batch.read(keysUnder(prefix)))),
    );
    const paths = answers.flatMap(({ kvs }) => kvs.map((kv) => kv.key.toString()));
    return paths.filter((path) => {
      const found = keyOfPath(path);
      return found !== undefined && keyText(found) === wanted;
    });
  }

  /** Carries out all operations if all conditions hold; tells of which the object is there if not. */
  async #write(
    writes: readonly { readonly condition: ICompare; readonly operation: IRequestOp }[],
  ): Promise<{
    readonly succeeded: boolean;
    readonly present: readonly boolean[];
    readonly revision: string;
  }> {
    const conditions = writes.map(({ condition }) => condition);
    const operations = writes.map(({ operation }) => operation);
    const looks = conditions.map(({ key }) => ({
      request_range: { key: key as Buffer, count_only: true },
    }));
    const { succeeded, responses, revision } = await this.#call(() =>
      this.#batch.write({ conditions, operations, looks }),
    );
    const present = responses.map((each) => Number(each.response_range?.count ?? 0) > 0);
    return { succeeded, present, revision };
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

function keysUnder(prefix: string): IRangeRequest {
  const { start, end } = rangeOfPrefix(prefix);
  return { key: Buffer.from(start), range_end: Buffer.from(end), keys_only: true };
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

function refused(present: boolean | undefined, key: ResourceKey): DatastoreError {
  return objectRefused(present === true ? "conflict" : "not-found", key);
}

function decodeAll<K extends Kind>(
  kvs: readonly IKeyValue[],
  kind: K,
): { readonly items: ResourceOfKind[K][]; readonly unreadable: readonly string[] } {
  const items: ResourceOfKind[K][] = [];
  const unreadable: string[] = [];
  for (const kv of kvs) {
    const resource = decode(kv);
    if (resource?.kind === kind) items.push(resource as ResourceOfKind[K]);
    if (resource !== undefined) continue;
    const path = kv.key.toString();
    if (keyOfPath(path)?.kind === kind) unreadable.push(path);
  }
  return { items, unreadable };
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
