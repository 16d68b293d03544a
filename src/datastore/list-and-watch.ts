import { keyOf, keyText, type ResourceKey } from "../api/resource-key.ts";
import type { Kind, ResourceOfKind } from "../api/resource-of-kind.ts";
import { Backoff } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { Turns } from "../lib/turns.ts";
import { type Datastore, type Followed, isDatastoreError, type WatchEvent } from "./datastore.ts";
import type { SyncerCallbacks, SyncerConfig, SyncStatus, Update } from "./syncer.ts";

/** How a syncer goes on for itself. */
export interface ListAndWatchPorts {
  readonly datastore: Pick<Datastore, "list" | "watch" | "follow">;
  readonly callbacks: SyncerCallbacks;
  readonly clock: Clock;
  readonly log?: Logger;
  /** Whether the datastore tells of changes now: without it, what was told may be old. */
  readonly onWatching?: (isWatching: boolean) => void;
}

const retry = { minMs: 100, maxMs: 5_000 };
/** A watch that lived for so long was sound: the next failure is a new one. */
const soundMs = 10_000;
/** A failure that goes on is said again after this long. */
const remindMs = 60_000;
/** Updates that are told at once, at most, and how long one waits for others, at most. */
const batchSize = 100;
const batchMs = 10;

/**
 * A syncer with a list and a watch of its own.
 *
 * After a failure it goes on from the last revision seen, or lists again and tells what is gone. A
 * failure itself tells nothing: receivers keep what they have, and stay in sync. Updates are told in
 * batches of up to 100, each within 10 ms, the first of a while at once.
 *
 * @throws what a receiver threw: it may have missed an update.
 */
export async function listAndWatch(
  config: SyncerConfig,
  ports: ListAndWatchPorts,
  signal: AbortSignal,
): Promise<void> {
  const { clock } = ports;
  const broken = new AbortController();
  const stop = AbortSignal.any([signal, broken.signal]);
  const syncer = new Syncer(config, ports, (error) => broken.abort(error));
  const reporter = new FailureReporter(ports);
  const backoff = new Backoff(retry);
  while (!stop.aborted) {
    const startedAt = clock.now();
    let failure: unknown;
    try {
      await syncer.follow(stop, () => backoff.reset());
    } catch (error) {
      failure = error;
    }
    if (stop.aborted) break;
    syncer.isWatching = false;
    if (isDatastoreError(failure, "compacted")) syncer.forgetRevision();
    reporter.report(failure);
    if (clock.now() - startedAt >= soundMs) backoff.reset();
    await clock.sleep(backoff.next(), stop).catch(() => undefined);
  }
  syncer.stop();
  if (broken.signal.aborted) throw broken.signal.reason;
}

class Syncer {
  readonly #config: SyncerConfig;
  readonly #ports: ListAndWatchPorts;
  readonly #onBroken: (error: unknown) => void;
  /** What receivers were told is there, or will be told with the next batch. */
  readonly #known = new Map<string, ResourceKey>();
  #batch: Update[] = [];
  #cancelFlush: (() => void) | undefined;
  #flushedAt = Number.NEGATIVE_INFINITY;
  #revision: string | undefined;
  #status: SyncStatus | undefined;
  #broken = false;
  #isWatching: boolean | undefined;
  /** Where the watch began anew: of several kinds, some have told nothing until they are all beyond. */
  #resumedAt: string | undefined;

  /** `onBroken` hears what a receiver threw: nothing is told after that. */
  constructor(config: SyncerConfig, ports: ListAndWatchPorts, onBroken: (error: unknown) => void) {
    this.#config = config;
    this.#ports = ports;
    this.#onBroken = onBroken;
    this.#tellStatus("waiting");
  }

  /** The next `follow` lists everything again. */
  forgetRevision(): void {
    this.#revision = undefined;
  }

  set isWatching(now: boolean) {
    if (now !== this.#isWatching) this.#ports.onWatching?.(now);
    this.#isWatching = now;
  }

  stop(): void {
    this.#cancelFlush?.();
  }

  async follow(signal: AbortSignal, onEvent: () => void): Promise<void> {
    for await (const event of await this.#changes(signal)) {
      if (signal.aborted) return;
      onEvent();
      this.#take(event);
    }
  }

  /** From the last revision seen, or after all that is there now was told. */
  async #changes(signal: AbortSignal): Promise<AsyncIterable<WatchEvent> | readonly []> {
    const { datastore } = this.#ports;
    const { kinds } = this.#config;
    this.#resumedAt = this.#revision;
    if (this.#revision !== undefined) return datastore.watch(kinds, this.#revision, signal);
    if (this.#status !== "in-sync") this.#tellStatus("resyncing");
    const { resources, revision, changes } = await followAll(datastore, kinds, signal);
    if (signal.aborted) return [];
    await this.#tellAll(resources, signal);
    if (signal.aborted) return [];
    this.#flush();
    this.#tellStatus("in-sync");
    this.isWatching = true;
    this.#revision = revision;
    return changes;
  }

  /** What is gone, then what is there, in turns of the event loop: there may be many. */
  async #tellAll(resources: readonly ResourceOfKind[Kind][], signal: AbortSignal): Promise<void> {
    const turns = new Turns(this.#ports.clock);
    if (this.#known.size > 0) await this.#tellGone(resources, turns, signal);
    for (const resource of resources) {
      if (signal.aborted) return;
      this.#tell(this.#updateOf(resource));
      if (turns.isOver) await turns.next();
    }
  }

  async #tellGone(
    resources: readonly ResourceOfKind[Kind][],
    turns: Turns,
    signal: AbortSignal,
  ): Promise<void> {
    const seen = new Set<string>();
    for (const resource of resources) {
      seen.add(keyText(keyOf(resource)));
      if (turns.isOver) await turns.next();
    }
    for (const [text, key] of this.#known) {
      if (signal.aborted) return;
      if (!seen.has(text)) this.#tell({ key, value: null });
      if (turns.isOver) await turns.next();
    }
  }

  #take(event: WatchEvent): void {
    this.#revision = event.revision;
    if (event.kind === "set") this.#tell(this.#updateOf(event.resource));
    else if (event.kind === "deleted") this.#tell({ key: event.key, value: null });
    if (this.#isWatching === true || event.revision === this.#resumedAt) return;
    this.#flush();
    this.isWatching = true;
  }

  #updateOf(resource: ResourceOfKind[Kind]): Update {
    const value = this.#config.decode === undefined ? resource : this.#config.decode(resource);
    return { key: keyOf(resource), value };
  }

  #tell(update: Update): void {
    const text = keyText(update.key);
    if (update.value === null) this.#known.delete(text);
    else this.#known.set(text, update.key);
    this.#batch.push(update);
    if (this.#batch.length >= batchSize) this.#flush();
    else this.#cancelFlush ??= this.#ports.clock.setTimer(this.#waitMs(), () => this.#flush());
  }

  /** What comes alone goes at once, with what came in the same turn of the event loop. */
  #waitMs(): number {
    return this.#ports.clock.now() - this.#flushedAt < batchMs ? batchMs : 0;
  }

  #flush(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    this.#flushedAt = this.#ports.clock.now();
    const updates = this.#batch;
    this.#batch = [];
    if (updates.length > 0) this.#call((callbacks) => callbacks.onUpdates(updates));
  }

  #tellStatus(status: SyncStatus): void {
    if (status === this.#status) return;
    this.#status = status;
    this.#call((callbacks) => callbacks.onStatus(status));
  }

  #call(tell: (callbacks: SyncerCallbacks) => void): void {
    if (this.#broken) return;
    try {
      tell(this.#ports.callbacks);
    } catch (error) {
      this.#broken = true;
      this.#onBroken(error);
    }
  }
}

/** All objects of some kinds, then their changes. */
export async function followAll(
  datastore: ListAndWatchPorts["datastore"],
  kinds: readonly Kind[],
  signal: AbortSignal,
): Promise<Followed> {
  if (datastore.follow !== undefined) return await datastore.follow(kinds, signal);
  const lists = await Promise.all(kinds.map((kind) => datastore.list(kind)));
  // The oldest of the lists: from there a watch misses nothing.
  const revision = lists.map((list) => list.revision).reduce(older);
  const resources = lists.flatMap(({ items }) => items as readonly ResourceOfKind[Kind][]);
  return { resources, revision, changes: datastore.watch(kinds, revision, signal) };
}

/** Says a failure once, and again while it lasts, but not at every try. */
class FailureReporter {
  readonly #ports: ListAndWatchPorts;
  #saidAt: number | undefined;

  constructor(ports: ListAndWatchPorts) {
    this.#ports = ports;
  }

  report(failure: unknown): void {
    const { log, clock } = this.#ports;
    if (isDatastoreError(failure, "compacted")) {
      log?.info("datastore history is gone, listing again");
      return;
    }
    const now = clock.now();
    const isNew = this.#saidAt === undefined || now - this.#saidAt >= remindMs;
    if (isNew) this.#saidAt = now;
    log?.[isNew ? "warn" : "debug"]({ err: failure }, "datastore watch ended");
  }
}

/** Revisions of one datastore are numbers in text. */
function older(a: string, b: string): string {
  return BigInt(a) <= BigInt(b) ? a : b;
}
