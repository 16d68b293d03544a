import type { Duplex } from "node:stream";
import type { Etcd3, IWatchRequest, IWatchResponse } from "etcd3";
import type { Kind } from "../../api/resource-of-kind.ts";
import type { Clock } from "../../lib/clock.ts";
import { DatastoreError, type WatchEvent } from "../datastore.ts";
import { SilenceGuard } from "../silence-guard.ts";
import { unavailable } from "./etcd-client.ts";
import { type KeyRange, keyOfPath, watchedRange } from "./keys.ts";
import { decode } from "./values.ts";

export interface WatchConfig {
  readonly kinds: readonly Kind[];
  readonly revision: string;
}

export interface WatchPorts {
  readonly client: Etcd3;
  readonly clock: Clock;
  /** A stream that is silent for so long is checked: a member without a leader keeps it open and mute. */
  readonly silenceMs: number;
}

/** What gRPC gives; etcd3's type tells less. */
type WatchStream = Duplex & { cancel(): void };

/**
 * Changes after `revision`, by a stream of our own: etcd3's watcher stops for good after a reset. Ends by
 * throwing: `compacted`, or `unavailable` when the stream breaks; the caller resumes. It is read no
 * faster than the receiver takes events: the rest waits in the server.
 */
export async function* watchEtcd(
  config: WatchConfig,
  ports: WatchPorts,
  signal: AbortSignal,
): AsyncIterable<WatchEvent> {
  if (!/^\d+$/.test(config.revision)) throw compacted(config.revision);
  const range = watchedRange(config.kinds);
  const check = () => ask(ports.client, range);
  // A request before the stream: it renews a login that a restarted server has forgotten.
  if (signal.aborted) return;
  await unlessAborted(check(), signal);
  if (signal.aborted) return;
  const stream = await openStream(ports.client);
  const onAbort = () => stream.destroy();
  signal.addEventListener("abort", onAbort, { once: true });
  const { clock, silenceMs } = ports;
  const onDead = (cause: unknown) => stream.destroy(cause as Error);
  const guard = new SilenceGuard({ clock, silenceMs, check, onDead });
  try {
    if (signal.aborted) return;
    stream.write(createRequest(range, config.revision));
    for await (const response of stream as AsyncIterable<IWatchResponse>) {
      guard.heard();
      yield* eventsOf(response, config);
      if (signal.aborted) return;
    }
    throw new Error("the server closed the watch");
  } catch (error) {
    if (signal.aborted) return;
    throw error instanceof DatastoreError ? error : unavailable(error);
  } finally {
    signal.removeEventListener("abort", onAbort);
    guard.end();
    stream.cancel();
  }
}

/** Waits for `task`, but no longer than until `signal` aborts. */
async function unlessAborted(task: Promise<void>, signal: AbortSignal): Promise<void> {
  let stop: () => void = () => undefined;
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  signal.addEventListener("abort", stop, { once: true });
  try {
    await Promise.race([task, stopped]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Asks something cheap that only a member with a leader can answer. */
async function ask(client: Etcd3, { start }: KeyRange): Promise<void> {
  try {
    await client.kv.range({ key: Buffer.from(start), count_only: true });
  } catch (cause) {
    throw unavailable(cause);
  }
}

async function openStream(client: Etcd3): Promise<WatchStream> {
  try {
    // No deadline: a watch lives as long as it is wanted.
    const call = await client.watchClient.watch({ deadline: Number.POSITIVE_INFINITY });
    const stream = call as unknown as WatchStream;
    // gRPC reports the end of a cancelled stream as an error, when nobody reads it any more.
    stream.on("error", () => undefined);
    return stream;
  } catch (cause) {
    throw unavailable(cause);
  }
}

/**
 * From the last revision that was seen, not from the next: compaction at a revision can remove the delete
 * that was made with it, and a watch that begins there is not told (etcd issue 18089, to 2024). One that
 * begins a revision earlier hears that its start is compacted.
 */
function createRequest({ start, end }: KeyRange, revision: string): IWatchRequest {
  return {
    create_request: {
      key: Buffer.from(start),
      range_end: Buffer.from(end),
      start_revision: revision === "0" ? "1" : revision,
      progress_notify: true,
    },
  };
}

/**
 * Where to resume is the revision of the last event: the header of a response to a watch that is catching
 * up tells a later one, of which not all events were sent yet. Events of one transaction share a revision,
 * and only the last of them has reached it.
 */
function* eventsOf(
  response: IWatchResponse,
  { kinds, revision }: WatchConfig,
): Generator<WatchEvent> {
  const { header, canceled, created, compact_revision: oldest, events } = response;
  const inFuture = created && BigInt(header.revision) < BigInt(revision);
  if (inFuture || (canceled && oldest !== "0")) throw compacted(revision);
  if (canceled) throw unavailable(new Error(response.cancel_reason || "the watch was cancelled"));
  for (const [index, { type, kv }] of events.entries()) {
    if (BigInt(kv.mod_revision) <= BigInt(revision)) continue;
    const key = keyOfPath(kv.key.toString());
    if (key === undefined || !kinds.includes(key.kind)) continue;
    const resource = type === "Put" ? decode(kv) : undefined;
    const goesOn = events[index + 1]?.kv.mod_revision === kv.mod_revision;
    const told = goesOn ? String(BigInt(kv.mod_revision) - 1n) : kv.mod_revision;
    if (resource === undefined) yield { kind: "deleted", key, revision: told };
    else yield { kind: "set", key, resource, revision: told };
  }
  const reached = events.at(-1)?.kv.mod_revision ?? (created ? undefined : header.revision);
  if (reached !== undefined) yield { kind: "progress", revision: reached };
}

function compacted(revision: string): DatastoreError {
  return new DatastoreError(`Cannot watch from revision ${revision}: it is not known any more`, {
    code: "compacted",
    revision,
  });
}
