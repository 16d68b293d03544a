import { errorMessage } from "../../lib/errors.ts";
import { linesOf } from "../../lib/lines-of.ts";
import { DatastoreError, maxWaitingEvents, type WatchEvent } from "../datastore.ts";
import { type Collection, collectionPath, collectionText } from "./collections.ts";
import { expired, UnknownKindError, unavailable } from "./kube-error.ts";
import { type KubeHttp, parseKubeJson } from "./kube-http.ts";
import { decoded, oldest } from "./kube-list.ts";
import type { KubeObject } from "./kube-object.ts";
import type { Mapping } from "./mapping.ts";
import type { OptionalCollections } from "./optional-collections.ts";
import type { WatchGuard } from "./watch-guard.ts";
import { watchSeconds } from "./watch-seconds.ts";

export interface KubeWatchPorts {
  readonly http: KubeHttp;
  /** A server that hangs keeps a watch open. */
  readonly guard: WatchGuard;
  readonly optional: OptionalCollections;
}

/** Where the watch of a collection begins. */
export interface WatchStart {
  readonly mapping: Mapping;
  readonly revision: string;
  /** A watch from there that is open already: what it tells next. It must end when `ended` is aborted. */
  readonly opened?: AsyncIterable<string>;
}

type Told =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: KubeObject }
  | { readonly type: "BOOKMARK"; readonly object: KubeObject }
  | {
      readonly type: "ERROR";
      readonly object: { readonly code?: number; readonly message?: string };
    };

/**
 * Changes of several collections after a revision of each. Each is in order; which of two collections is
 * first, nobody knows. So the revision that an event tells is the oldest that any collection has
 * reached: who resumes there misses nothing, and may hear something again. When a collection comes that was
 * not there, or goes, only another list tells what is in it: the revision counts as expired.
 */
export async function* watchKube(
  all: readonly WatchStart[],
  ports: KubeWatchPorts,
  signal: AbortSignal,
  ended: AbortController = new AbortController(),
): AsyncGenerator<WatchEvent> {
  for (const { revision } of all) if (!/^[1-9]\d*$/.test(revision)) throw expired(revision);
  const stop = AbortSignal.any([signal, ended.signal]);
  const queue = new EventQueue(stop);
  const guard = ports.guard.join((cause) => {
    queue.fail(unavailable("Cannot watch: the API server does not answer", cause));
  });
  const starts = all.filter(({ mapping }) => !ports.optional.isAbsent(mapping.collection));
  const absent = all.filter((start) => !starts.includes(start));
  const reached = starts.map(({ revision }) => BigInt(revision));
  const pumps = starts.map(async (start, index) => {
    const { mapping, revision } = start;
    try {
      for await (const told of watchCollection(start, ports.http, stop)) {
        guard.heard();
        await queue.put({ index, told });
      }
    } catch (error) {
      const isGone = mapping.collection.optional && error instanceof UnknownKindError;
      queue.fail(isGone ? expired(revision) : error);
    }
  });
  const waits = absent.map(async ({ mapping, revision }) => {
    if (await ports.optional.appears(mapping.collection, stop)) queue.fail(expired(revision));
  });
  try {
    for await (const { index, told } of queue) {
      const mapping = starts[index]?.mapping;
      const version = told.object.metadata.resourceVersion;
      if (mapping === undefined || version === undefined) continue;
      reached[index] = BigInt(version);
      const event = eventOf(mapping, told, oldest(reached));
      if (event !== undefined) yield event;
      if (signal.aborted) return;
    }
  } finally {
    guard.leave();
    ended.abort();
    await Promise.all([...pumps, ...waits]);
  }
}

type Change = Exclude<Told, { readonly type: "ERROR" }>;

function eventOf(mapping: Mapping, told: Change, revision: string): WatchEvent | undefined {
  if (told.type === "BOOKMARK") return { kind: "progress", revision };
  const resource = told.type === "DELETED" ? undefined : decoded(mapping, told.object);
  if (resource !== undefined) {
    const { name, namespace } = resource.metadata;
    const key = { kind: mapping.kind, name, ...(namespace === undefined ? {} : { namespace }) };
    return { kind: "set", key, resource, revision };
  }
  const key = keyIfAny(mapping, told.object);
  return key === undefined ? { kind: "progress", revision } : { kind: "deleted", key, revision };
}

function keyIfAny(mapping: Mapping, object: KubeObject): ReturnType<Mapping["keyOf"]> {
  try {
    return mapping.keyOf(object);
  } catch {
    return undefined;
  }
}

/** Changes of one collection, over as many answers as it takes. */
async function* watchCollection(
  { mapping: { collection }, revision, opened }: WatchStart,
  http: KubeHttp,
  signal: AbortSignal,
): AsyncGenerator<Change> {
  let from = revision;
  for (let lines = opened; !signal.aborted; lines = undefined) {
    const startedAt = performance.now();
    for await (const line of lines ?? (await openWatch(collection, from, http, signal))) {
      const told = parseKubeJson(line) as Told;
      if (told.type === "ERROR") throw errorOf(told.object, from, collectionText(collection));
      from = told.object.metadata.resourceVersion ?? from;
      yield told;
    }
    if (performance.now() - startedAt < 1_000) {
      throw unavailable(`Cannot watch ${collectionText(collection)}: the server ended it at once`);
    }
  }
}

async function openWatch(
  collection: Collection,
  from: string,
  http: KubeHttp,
  signal: AbortSignal,
): Promise<AsyncIterable<string>> {
  const query = new URLSearchParams({
    watch: "1",
    resourceVersion: from,
    allowWatchBookmarks: "true",
    timeoutSeconds: String(watchSeconds()),
  });
  const path = `${collectionPath(collection)}?${query}`;
  return linesOf(await http.stream(path, { verb: "watch", collection }, signal));
}

function errorOf(
  { code, message = "the watch failed" }: { readonly code?: number; readonly message?: string },
  revision: string,
  what: string,
): DatastoreError {
  return code === 410 ? expired(revision) : unavailable(`Cannot watch ${what}: ${message}`);
}

interface Queued {
  readonly index: number;
  readonly told: Change;
}

/** Joins the collections' streams; who puts waits while too much is in it. */
class EventQueue {
  readonly #signal: AbortSignal;
  #items: Queued[] = [];
  #failure: { readonly error: unknown } | undefined;
  #wakeReader: () => void = () => undefined;
  #wakeWriters: (() => void)[] = [];

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    const wakeAll = () => {
      this.#wakeReader();
      this.#releaseWriters();
    };
    signal.addEventListener("abort", wakeAll, { once: true });
  }

  async put(item: Queued): Promise<void> {
    this.#items.push(item);
    this.#wakeReader();
    while (this.#items.length >= maxWaitingEvents && !this.#signal.aborted) {
      await new Promise<void>((resolve) => this.#wakeWriters.push(resolve));
    }
  }

  /** Told after what is queued. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wakeReader();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Queued> {
    while (!this.#signal.aborted) {
      const items = this.#items;
      this.#items = [];
      this.#releaseWriters();
      yield* items;
      if (this.#items.length > 0 || this.#signal.aborted) continue;
      if (this.#failure !== undefined) throw asDatastoreError(this.#failure.error);
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
  }

  #releaseWriters(): void {
    const waiting = this.#wakeWriters;
    this.#wakeWriters = [];
    for (const wake of waiting) wake();
  }
}

function asDatastoreError(error: unknown): DatastoreError {
  return error instanceof DatastoreError
    ? error
    : unavailable(`Cannot watch: ${errorMessage(error)}`, error);
}
