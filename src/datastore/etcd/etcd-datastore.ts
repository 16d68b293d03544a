import { readFileSync } from "node:fs";
import type { Etcd3, ICompare, IKeyValue, IOptions, IRequestOp } from "etcd3";
import { keyOf, type ResourceKey } from "../../api/resource-key.ts";
import type { Kind, ResourceOfKind } from "../../api/resource-of-kind.ts";
import {
  type Datastore,
  DatastoreError,
  type ListOptions,
  type ResourceList,
  type WatchEvent,
} from "../datastore.ts";
import { objectRefused, prepareForCreate, prepareForUpdate } from "../stored-metadata.ts";
import { watchEtcd } from "./etcd-watch.ts";
import { keyOfPath, kindPrefix, pathOfResource, pathsOfKey } from "./keys.ts";
import { etcdValue, resourceOf } from "./values.ts";

export interface EtcdConfig {
  /** "http://HOST:PORT", "https://HOST:PORT" or "unix:///PATH". The first that answers is used. */
  readonly endpoints: readonly string[];
  readonly username?: string;
  readonly password?: string;
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
}

/** etcd3 has no deadline of its own: a server that hangs would hang us. */
const deadlineMs = 5_000;
const finalDeadlineMs = 6_000;

/** Opens a datastore on etcd with Calico's layout. Nothing is asked of the server yet. */
export async function openEtcdDatastore(config: EtcdConfig): Promise<Datastore> {
  const { Etcd3 } = await import("etcd3");
  return new EtcdDatastore(new Etcd3(optionsOf(config)));
}

function optionsOf(config: EtcdConfig): IOptions {
  const { username, password, caFile, certFile, keyFile } = config;
  const tls = config.endpoints.some((endpoint) => endpoint.startsWith("https:"));
  return {
    hosts: [...config.endpoints],
    defaultCallOptions: () => ({ deadline: Date.now() + deadlineMs }),
    ...(username === undefined ? {} : { auth: { username, password: password ?? "" } }),
    ...(tls
      ? {
          credentials: {
            rootCertificate: caFile === undefined ? Buffer.alloc(0) : readFileSync(caFile),
            ...(certFile === undefined ? {} : { certChain: readFileSync(certFile) }),
            ...(keyFile === undefined ? {} : { privateKey: readFileSync(keyFile) }),
          },
        }
      : {}),
  };
}

class EtcdDatastore implements Datastore {
  readonly #client: Etcd3;

  constructor(client: Etcd3) {
    this.#client = client;
  }

  async get<K extends Kind>(key: ResourceKey<K>): Promise<ResourceOfKind[K]> {
    for (const path of pathsOfKey(key)) {
      const { kvs } = await this.#call(() => this.#client.kv.range({ key: Buffer.from(path) }));
      const [found] = kvs;
      const resource = found === undefined ? undefined : decode(found);
      if (resource !== undefined) return resource as ResourceOfKind[K];
    }
    throw objectRefused("not-found", key);
  }

  async list<K extends Kind>(
    kind: K,
    options: ListOptions = {},
  ): Promise<ResourceList<ResourceOfKind[K]>> {
    const prefix = Buffer.from(kindPrefix(kind, options.namespace));
    const { kvs, header } = await this.#call(() =>
      this.#client.kv.range({ key: prefix, range_end: endOfPrefix(prefix) }),
    );
    const items = kvs.flatMap((kv) => {
      const key = keyOfPath(kv.key.toString());
      const resource = key?.kind === kind ? decode(kv) : undefined;
      return resource === undefined ? [] : [resource as ResourceOfKind[K]];
    });
    return { items, revision: header.revision };
  }

  async create<K extends Kind>(resource: ResourceOfKind[K]): Promise<ResourceOfKind[K]> {
    const prepared = prepareForCreate(resource);
    const path = pathOfResource(prepared);
    const absent: ICompare = {
      key: Buffer.from(path),
      target: "Version",
      result: "Equal",
      version: "0",
    };
    const written = await this.#write(absent, put(path, etcdValue(prepared)));
    if (!written.succeeded) throw objectRefused("already-exists", keyOf(resource) as ResourceKey);
    return stored(path, etcdValue(prepared), written.revision);
  }

  async update<K extends Kind>(resource: ResourceOfKind[K]): Promise<ResourceOfKind[K]> {
    const { resourceVersion } = resource.metadata;
    const prepared = prepareForUpdate(resource);
    const path = pathOfResource(prepared);
    const unchanged = unchangedSince(path, resourceVersion);
    const written = await this.#write(unchanged, put(path, etcdValue(prepared)));
    if (!written.succeeded) throw await this.#whyRefused(path, keyOf(resource) as ResourceKey);
    return stored(path, etcdValue(prepared), written.revision);
  }

  async delete<K extends Kind>(key: ResourceKey<K>, resourceVersion?: string): Promise<void> {
    const paths = pathsOfKey(key);
    for (const path of paths) {
      const condition =
        resourceVersion === undefined ? existing(path) : unchangedSince(path, resourceVersion);
      const gone = { request_delete_range: { key: Buffer.from(path) } };
      const written = await this.#write(condition, gone);
      if (written.succeeded) return;
      const refusal = await this.#whyRefused(path, key);
      if (refusal.code !== "not-found") throw refusal;
    }
    throw objectRefused("not-found", key);
  }

  watch(kinds: readonly Kind[], revision: string, signal: AbortSignal): AsyncIterable<WatchEvent> {
    return watchEtcd(this.#client, { kinds: new Set(kinds), revision, deadlineMs }, signal);
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  async #write(
    condition: ICompare,
    operation: IRequestOp,
  ): Promise<{ readonly succeeded: boolean; readonly revision: string }> {
    const { succeeded, header } = await this.#call(() =>
      this.#client.kv.txn({ compare: [condition], success: [operation], failure: [] }),
    );
    return { succeeded, revision: header.revision };
  }

  async #whyRefused(path: string, key: ResourceKey): Promise<DatastoreError> {
    const { kvs } = await this.#call(() =>
      this.#client.kv.range({ key: Buffer.from(path), keys_only: true }),
    );
    return objectRefused(kvs.length === 0 ? "not-found" : "conflict", key);
  }

  async #call<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    // etcd3 tries again after a call's own deadline: this one is final.
    const timer = setTimeout(
      () => reject(new Error(`no answer in ${finalDeadlineMs} ms`)),
      finalDeadlineMs,
    );
    try {
      return await Promise.race([ask(), late]);
    } catch (cause) {
      throw unavailable(cause);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Whatever etcd3 throws means that the server did not do what was asked. */
export function unavailable(cause: unknown): DatastoreError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new DatastoreError(`Cannot reach etcd: ${why}`, { code: "unavailable" }, { cause });
}

function put(path: string, value: string): IRequestOp {
  return { request_put: { key: Buffer.from(path), value: Buffer.from(value) } };
}

function existing(path: string): ICompare {
  return { key: Buffer.from(path), target: "Version", result: "Greater", version: "0" };
}

/** A version that is no revision matches nothing. */
function unchangedSince(path: string, version: string | undefined): ICompare {
  const revision = /^\d+$/.test(version ?? "") ? version : "0";
  return { key: Buffer.from(path), target: "Mod", result: "Equal", mod_revision: revision ?? "0" };
}

/** The first key behind all that begin with `prefix`. */
export function endOfPrefix(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  end[end.length - 1] = (end[end.length - 1] ?? 0) + 1;
  return end;
}

function stored<K extends Kind>(path: string, value: string, revision: string): ResourceOfKind[K] {
  return resourceOf(path, value, revision) as ResourceOfKind[K];
}

/** Undefined for what is not ours; a value that is not JSON is passed over like an absent one. */
export function decode(kv: IKeyValue): ResourceOfKind[Kind] | undefined {
  try {
    return resourceOf(kv.key.toString(), kv.value.toString(), kv.mod_revision);
  } catch {
    return undefined;
  }
}
