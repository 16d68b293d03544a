import type { Etcd3, IWatchRequest, IWatchResponse } from "etcd3";
import type { Kind } from "../../api/resource-of-kind.ts";
import { DatastoreError, type WatchEvent } from "../datastore.ts";
import { decode, endOfPrefix, unavailable } from "./etcd-datastore.ts";
import { keyOfPath, root } from "./keys.ts";

export interface WatchConfig {
  readonly kinds: ReadonlySet<Kind>;
  readonly revision: string;
  readonly deadlineMs: number;
}

/** A stream that is silent for so long is checked: a broken connection says nothing by itself. */
const silenceMs = 10_000;
/** Responses that wait for a slow receiver: beyond, the watch ends and is resumed. */
const maxWaiting = 1_000;

type Outcome =
  | { readonly kind: "response"; readonly response: IWatchResponse }
  | { readonly kind: "failed"; readonly error: unknown };

/**
 * Changes after `revision`, by a stream of our own: etcd3's watcher stops for good after a reset. Ends by
 * throwing: `compacted`, or `unavailable` when the stream breaks; the caller resumes.
 */
export async function* watchEtcd(
  client: Etcd3,
  config: WatchConfig,
  signal: AbortSignal,
): AsyncIterable<WatchEvent> {
  if (signal.aborted) return;
  const stream = await openStream(client);
  const queue = new OutcomeQueue(client, config.deadlineMs);
  const onAbort = () => queue.end();
  signal.addEventListener("abort", onAbort, { once: true });
  stream.on("data", (response: IWatchResponse) => queue.push({ kind: "response", response }));
  stream.on("error", (error: Error) => queue.push({ kind: "failed", error }));
  stream.on("end", () => queue.push({ kind: "failed", error: new Error("the watch was closed") }));
  try {
    stream.write(createRequest(config.revision));
    for (;;) {
      const outcome = await queue.next();
      if (outcome === undefined) return;
      if (outcome.kind === "failed") throw unavailable(outcome.error);
      yield* eventsOf(outcome.response, config);
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    queue.end();
    stream.cancel();
  }
}

async function openStream(client: Etcd3) {
  try {
    // No deadline: a watch lives as long as it is wanted.
    return await client.watchClient.watch({ deadline: Number.POSITIVE_INFINITY });
  } catch (cause) {
    throw unavailable(cause);
  }
}

function createRequest(revision: string): IWatchRequest {
  const prefix = Buffer.from(root);
  return {
    create_request: {
      key: prefix,
      range_end: endOfPrefix(prefix),
      start_revision: (BigInt(revision) + 1n).toString(),
      progress_notify: true,
    },
  };
}

function* eventsOf(response: IWatchResponse, config: WatchConfig): Generator<WatchEvent> {
  if (response.canceled) {
    const { compact_revision: oldest, cancel_reason: why } = response;
    if (oldest === "0") throw unavailable(new Error(why || "the watch was cancelled"));
    throw new DatastoreError(`Cannot watch from revision ${config.revision}: it is compacted`, {
      code: "compacted",
      revision: config.revision,
    });
  }
  for (const { type, kv } of response.events) {
    const key = keyOfPath(kv.key.toString());
    if (key === undefined || !config.kinds.has(key.kind)) continue;
    const revision = kv.mod_revision;
    const resource = type === "Put" ? decode(kv) : undefined;
    if (resource === undefined) yield { kind: "deleted", key, revision };
    else yield { kind: "set", key, resource, revision };
  }
  if (!response.created) yield { kind: "progress", revision: response.header.revision };
}

/** What the stream said and nobody took yet. Silence makes it ask whether the server still answers. */
class OutcomeQueue {
  readonly #client: Etcd3;
  readonly #deadlineMs: number;
  readonly #waiting: Outcome[] = [];
  #taker: ((outcome: Outcome | undefined) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(client: Etcd3, deadlineMs: number) {
    this.#client = client;
    this.#deadlineMs = deadlineMs;
    this.#listen();
  }

  push(outcome: Outcome): void {
    if (this.#ended) return;
    this.#listen();
    if (this.#taker !== undefined) {
      this.#taker(outcome);
      this.#taker = undefined;
    } else if (this.#waiting.length < maxWaiting) this.#waiting.push(outcome);
    else {
      this.#waiting.length = 0;
      this.#waiting.push({ kind: "failed", error: new Error("the receiver is too slow") });
    }
  }

  /** Undefined at the end. */
  next(): Promise<Outcome | undefined> {
    const outcome = this.#waiting.shift();
    if (outcome !== undefined || this.#ended) return Promise.resolve(outcome);
    return new Promise((resolve) => {
      this.#taker = resolve;
    });
  }

  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#taker?.(undefined);
  }

  #listen(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#check(), silenceMs);
  }

  async #check(): Promise<void> {
    try {
      const deadline = Date.now() + this.#deadlineMs;
      await this.#client.kv.range({ key: Buffer.from(root), count_only: true }, { deadline });
      if (!this.#ended) this.#listen();
    } catch (error) {
      this.push({ kind: "failed", error });
    }
  }
}
