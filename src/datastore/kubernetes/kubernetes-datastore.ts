import { keyOf, keyText, type ResourceKey } from "../../api/resource-key.ts";
import type { AnyResource, Kind, ResourceOfKind } from "../../api/resource-of-kind.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { errorMessage, InputError } from "../../lib/errors.ts";
import {
  type Datastore,
  DatastoreError,
  type Followed,
  type ListOptions,
  type ResourceList,
  type WatchEvent,
} from "../datastore.ts";
import { inOrder, objectRefused, prepareForCreate } from "../stored-metadata.ts";
import type { VirtualMachines } from "../virtual-machines.ts";
import { type ApiGroup, objectPath } from "./collections.ts";
import { type KubeAccess, KubeAuth } from "./kube-auth.ts";
import { KubeHttp } from "./kube-http.ts";
import { type Listed, listKube, oldest } from "./kube-list.ts";
import { KubeObjects } from "./kube-objects.ts";
import { KubeVirt } from "./kube-virt.ts";
import { type KubeWatchPorts, watchKube } from "./kube-watch.ts";
import type { Mapping } from "./mapping.ts";
import { mappingsOf } from "./mappings.ts";
import { OptionalCollections } from "./optional-collections.ts";
import { WatchGuard } from "./watch-guard.ts";
import { listByWatch, type WatchedList } from "./watch-list.ts";

export interface KubernetesConfig {
  readonly access: KubeAccess;
  /** CALICO_API_GROUP */
  readonly apiGroup: ApiGroup;
  /** First of FELIX_INTERFACEPREFIX. */
  readonly interfacePrefix?: string;
  /** Only what Kubernetes itself has: there are no objects of Calico's own kinds. */
  readonly nativeOnly?: boolean;
}

export interface KubernetesOptions {
  /** Longest time of one request with its retries: 10 s unless given. */
  readonly deadlineMs?: number;
  /**
   * A watch that is silent for so long is checked: 10 s unless given. With the deadline of the check, a
   * connection that died without a word is noticed within 20 s.
   */
  readonly silenceMs?: number;
  /** How often the server is asked for kinds that it had not: every 30 s unless given. */
  readonly askMs?: number;
  readonly clock?: Clock;
}

/** Opens a datastore on a Kubernetes API server. Nothing is asked of the server yet. */
export async function openKubernetesDatastore(
  config: KubernetesConfig,
  options: KubernetesOptions = {},
): Promise<Datastore> {
  const { deadlineMs = 10_000, silenceMs = 10_000, askMs = 30_000, clock = systemClock } = options;
  const auth = await KubeAuth.load(config.access, clock);
  const http = new KubeHttp({ auth, clock, deadlineMs });
  return new KubernetesDatastore(config, http, { clock, deadlineMs, silenceMs, askMs });
}

class KubernetesDatastore implements Datastore {
  readonly virtualMachines: VirtualMachines;
  readonly #http: KubeHttp;
  readonly #clock: Clock;
  readonly #mappings: Readonly<Record<Kind, readonly Mapping[]>>;
  readonly #objects: KubeObjects;
  readonly #optional: OptionalCollections;
  readonly #deadlineMs: number;
  readonly #guard: WatchGuard;
  /** Whether the server sends lists as watches; undefined: it has not answered yet. */
  #hasWatchList: boolean | undefined;
  /** The first list that asks it. */
  #asking: Promise<void> | undefined;

  constructor(
    config: KubernetesConfig,
    http: KubeHttp,
    { clock, deadlineMs, silenceMs, askMs }: Required<KubernetesOptions>,
  ) {
    this.#http = http;
    this.#clock = clock;
    this.#deadlineMs = deadlineMs;
    this.#guard = new WatchGuard({ clock, silenceMs, check: () => http.ping() });
    const { apiGroup, interfacePrefix = "cali", nativeOnly = false } = config;
    this.#mappings = mappingsOf({ apiGroup, interfacePrefix, nativeOnly });
    this.#objects = new KubeObjects(http);
    this.virtualMachines = new KubeVirt(http);
    this.#optional = new OptionalCollections({ http, clock, askMs });
  }

  async get<K extends Kind>(key: ResourceKey<K>): Promise<ResourceOfKind[K]> {
    return (await this.#find(key)).resource as ResourceOfKind[K];
  }

  async list<K extends Kind>(
    kind: K,
    { namespace }: ListOptions = {},
  ): Promise<ResourceList<ResourceOfKind[K]>> {
    const answers = await Promise.all(
      this.#mappings[kind].map((mapping) =>
        this.#optional.listed(mapping.collection, () => listKube(this.#http, mapping, namespace)),
      ),
    );
    const lists = answers.filter((answer) => answer !== undefined);
    const items = lists.flatMap((list) => list.items as readonly ResourceOfKind[K][]);
    const revision = oldest(lists.map((list) => BigInt(list.revision)));
    return { items: inOrder(items), revision };
  }

  async create<K extends Kind>(resource: ResourceOfKind[K]): Promise<ResourceOfKind[K]> {
    const prepared = prepareForCreate(resource, this.#clock) as AnyResource;
    const key = keyOf(prepared);
    const { mapping, path } = this.#placesOf(key)[0] ?? refuseKey(key);
    const { writes } = mapping;
    if (writes.kind === "objects") {
      const created = await this.#objects.create(mapping, writes, prepared);
      return mustDecode<K>(mapping, created, key);
    }
    if (writes.kind === "none" || writes.deleted === undefined) {
      const why = writes.kind === "none" ? writes.why : "kubelet registers nodes";
      throw new InputError(`Cannot create ${keyText(key)}: ${why}`);
    }
    const annotations = writes.annotationsOf(prepared);
    const patched = await this.#objects.annotate(mapping, path, key, { annotations });
    return mustDecode<K>(mapping, patched, key);
  }

  async update<K extends Kind>(resource: ResourceOfKind[K]): Promise<ResourceOfKind[K]> {
    const key = keyOf(resource as AnyResource);
    const { resourceVersion } = resource.metadata;
    const isVersion = /^\d+$/.test(resourceVersion ?? "");
    // What was never read is absent or has changed: the object itself tells which.
    const { mapping, path } = isVersion ? await this.#placeOf(key) : await this.#find(key);
    const writes = writable(mapping, "update", key);
    checkVersion(resourceVersion, key);
    if (writes.kind === "objects") {
      const updated = await this.#objects.replace(mapping, writes, path, resource as AnyResource);
      return mustDecode<K>(mapping, updated, key);
    }
    const status = writes.statusOf?.(resource as AnyResource);
    const change = {
      annotations: writes.annotationsOf(resource as AnyResource),
      resourceVersion,
      ...(status === undefined ? {} : { status }),
    };
    return mustDecode<K>(mapping, await this.#objects.annotate(mapping, path, key, change), key);
  }

  async delete<K extends Kind>(key: ResourceKey<K>, resourceVersion?: string): Promise<void> {
    const { mapping, path } = await this.#placeOf(key);
    const writes = writable(mapping, "delete", key);
    if (resourceVersion !== undefined) checkVersion(resourceVersion, key);
    if (writes.kind === "objects") {
      const remove = writes.softDeleted ? "deleteSoftly" : "delete";
      await this.#objects[remove](mapping, path, key, resourceVersion);
      return;
    }
    if (writes.deleted === undefined) {
      throw new InputError(`Cannot delete ${keyText(key)}: delete the node in Kubernetes`);
    }
    const version = resourceVersion === undefined ? {} : { resourceVersion };
    await this.#objects.annotate(mapping, path, key, { annotations: writes.deleted, ...version });
  }

  watch(kinds: readonly Kind[], revision: string, signal: AbortSignal): AsyncIterable<WatchEvent> {
    const starts = this.#mappingsOf(kinds).map((mapping) => ({ mapping, revision }));
    return watchKube(starts, this.#watchPorts, signal);
  }

  async follow(kinds: readonly Kind[], signal: AbortSignal): Promise<Followed> {
    const ended = new AbortController();
    const stop = AbortSignal.any([signal, ended.signal]);
    const mappings = this.#mappingsOf(kinds);
    try {
      const lists = await Promise.all(mappings.map((mapping) => this.#start(mapping, stop)));
      const revision = oldest(lists.flatMap((list) => (list ? [BigInt(list.revision)] : [])));
      const starts = lists.map((list, index) => ({
        mapping: mappings[index] as Mapping,
        revision: list?.revision ?? revision,
        ...(list?.changes === undefined ? {} : { opened: list.changes }),
      }));
      const resources = lists.flatMap((list) => list?.items ?? []);
      return { resources, revision, changes: watchKube(starts, this.#watchPorts, signal, ended) };
    } catch (error) {
      ended.abort(error);
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#http.close();
  }

  get #watchPorts(): KubeWatchPorts {
    return { http: this.#http, guard: this.#guard, optional: this.#optional };
  }

  #mappingsOf(kinds: readonly Kind[]): readonly Mapping[] {
    return [...new Set(kinds)].flatMap((kind) => this.#mappings[kind]);
  }

  /** Undefined when the server does not have the collection, and need not. */
  #start(
    mapping: Mapping,
    signal: AbortSignal,
  ): Promise<(Listed & Partial<WatchedList>) | undefined> {
    return this.#optional.listed(mapping.collection, async () => {
      const listed = await this.#listByWatch(mapping, signal);
      return listed ?? (await listKube(this.#http, mapping, undefined));
    });
  }

  /** Undefined where the server has no such watch: one list finds out, and others wait for it. */
  async #listByWatch(mapping: Mapping, signal: AbortSignal): Promise<WatchedList | undefined> {
    while (this.#asking !== undefined) await this.#asking;
    if (this.#hasWatchList === false) return undefined;
    const ports = { http: this.#http, clock: this.#clock, silenceMs: this.#deadlineMs };
    const listing = listByWatch(mapping, ports, signal).then((listed) => {
      this.#hasWatchList = listed !== undefined;
      return listed;
    });
    if (this.#hasWatchList === undefined) {
      const answered = () => {
        this.#asking = undefined;
      };
      this.#asking = listing.then(answered, answered);
    }
    return await listing;
  }

  #placesOf(key: ResourceKey): readonly Place[] {
    return this.#mappings[key.kind].flatMap((mapping) =>
      mapping
        .locate(key)
        .map((object) => ({ mapping, path: objectPath(mapping.collection, object) })),
    );
  }

  /** The object of a key, wherever it is. */
  async #find(key: ResourceKey): Promise<Place & { readonly resource: AnyResource }> {
    for (const { mapping, path } of this.#placesOf(key)) {
      const object = await this.#objects.read(mapping, path, key);
      if (object === undefined) continue;
      const resource = decodeOf(mapping, object, key);
      // An older release's name may be that of another object.
      if (resource !== undefined && keyText(keyOf(resource)) === keyText(key)) {
        return { mapping, path, resource };
      }
      if (resource === undefined && mapping.writes.kind === "objects") {
        await this.#objects.finishDelete(mapping, path, key, object);
      }
    }
    throw objectRefused("not-found", key);
  }

  /** Where a key's object is: asked only when there is a choice. */
  async #placeOf(key: ResourceKey): Promise<Place> {
    const [first, ...others] = this.#placesOf(key);
    return first === undefined || others.length > 0 ? await this.#find(key) : first;
  }
}

interface Place {
  readonly mapping: Mapping;
  readonly path: string;
}

function writable(
  mapping: Mapping,
  verb: string,
  key: ResourceKey,
): Exclude<Mapping["writes"], { readonly kind: "none" }> {
  const { writes } = mapping;
  if (writes.kind !== "none") return writes;
  throw new InputError(`Cannot ${verb} ${keyText(key)}: ${writes.why}`);
}

/** The server takes an absent version for "whatever there is". */
function checkVersion(version: string | undefined, key: ResourceKey): asserts version is string {
  if (!/^\d+$/.test(version ?? "")) throw objectRefused("conflict", key);
}

function refuseKey(key: ResourceKey): never {
  throw new InputError(`Cannot store ${keyText(key)}: in Kubernetes no object can have this name`);
}

function decodeOf(mapping: Mapping, object: unknown, key: ResourceKey): AnyResource | undefined {
  try {
    return mapping.decode(object as Parameters<Mapping["decode"]>[0]);
  } catch (cause) {
    throw new DatastoreError(
      `Cannot read ${keyText(key)}: ${errorMessage(cause)}`,
      { code: "corrupt", key: keyText(key) },
      { cause },
    );
  }
}

/** What the server just answered to a write. */
function mustDecode<K extends Kind>(
  mapping: Mapping,
  object: unknown,
  key: ResourceKey,
): ResourceOfKind[K] {
  const resource = decodeOf(mapping, object, key);
  if (resource === undefined) throw objectRefused("not-found", key);
  return resource as ResourceOfKind[K];
}
