import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { keyOf, keyText } from "../../src/api/resource-key.ts";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import type { Datastore, WatchEvent } from "../../src/datastore/datastore.ts";
import { runSyncer } from "../../src/datastore/reflector.ts";
import type { SyncStatus, Update } from "../../src/datastore/syncer.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { waitFor } from "../support/wait-for.ts";
import { stampOf, Truth } from "./truth.ts";
import { SoakWriter, soakKinds, type WriterStore } from "./writer.ts";

/** A datastore whose server can be killed. `round` counts from 1. */
export interface SoakServer {
  readonly name: string;
  /** What points a process at the datastore. */
  readonly env: Readonly<Record<string, string>>;
  createNode(name: string): Promise<void>;
  /** As the watcher sees it. */
  open(): Promise<Datastore>;
  openForWriter(): Promise<WriterStore>;
  kill(round: number): Promise<void>;
  start(round: number): Promise<void>;
  remove(): Promise<void>;
}

export interface SoakConfig {
  /** Whether to kill the server once more, after so many restarts. */
  readonly goOn: (restarts: number) => boolean;
  /** From one kill to the next, at least. */
  readonly everyMs: number;
  /** Writes before each kill and after each restart, at least. */
  readonly writes: number;
  /** Between two writes. */
  readonly pauseMs: number;
  /** How long the server is away, at most; it is drawn anew each time. */
  readonly downMs: number;
  readonly say: (line: string) => void;
}

const inStepMs = 60_000;

/**
 * Kills and restarts a server while one writes and one watches. After each restart the watcher must
 * come to hold exactly what was written, and meanwhile have been told nothing false.
 *
 * @throws {Error} with what was lost or false.
 */
export async function soak(server: SoakServer, config: SoakConfig): Promise<Truth> {
  const truth = new Truth();
  const stop = new AbortController();
  const watcher = await server.open();
  const forWriter = await server.openForWriter();
  const writer = new SoakWriter(forWriter, truth, config.pauseMs);
  const watching = watch(watcher, truth, stop.signal);
  try {
    for (let round = 1; config.goOn(round - 1); round++) {
      const toldBefore = truth.counts;
      const { awayMs } = await oneRound(server, writer, config, round);
      const lateMs = await untilInStep(server, truth);
      const { changes, deletes, repeats } = truth.counts;
      config.say(
        `${server.name}: restart ${round}, away ${(awayMs / 1000).toFixed(1)} s: told ` +
          `${changes - toldBefore.changes} changes, ${deletes - toldBefore.deletes} deletes, ` +
          `${repeats - toldBefore.repeats} again; ${watching.lists()} lists so far; ` +
          `in step ${lateMs.toFixed(0)} ms after the last of ${writer.writes} writes`,
      );
    }
    return truth;
  } finally {
    stop.abort();
    await watching.ended;
    await Promise.all([watcher.close(), forWriter.close()]);
  }
}

async function oneRound(
  server: SoakServer,
  writer: SoakWriter,
  { everyMs, writes, downMs }: SoakConfig,
  round: number,
): Promise<{ readonly awayMs: number }> {
  const pause = new AbortController();
  const startedAt = performance.now();
  const writing = writer.writeUntil(pause.signal);
  const untilWritten = async (count: number) => {
    const wanted = writer.writes + count;
    await Promise.race([writing, waitFor(() => writer.writes >= wanted, { timeoutMs: 300_000 })]);
  };
  try {
    await untilWritten(writes);
    const killedAt = performance.now();
    await server.kill(round);
    await delay(Math.random() * downMs);
    await server.start(round);
    const awayMs = performance.now() - killedAt;
    await untilWritten(writes);
    await delay(Math.max(0, everyMs - (performance.now() - startedAt)));
    return { awayMs };
  } finally {
    pause.abort();
    await writing;
  }
}

/** @returns how long it took until the watcher held what is stored, in ms. */
async function untilInStep(server: SoakServer, truth: Truth): Promise<number> {
  const startedAt = performance.now();
  const isInStep = () => truth.defects.length > 0 || truth.differences().length === 0;
  await waitFor(isInStep, { timeoutMs: inStepMs }).catch(() => undefined);
  const tookMs = performance.now() - startedAt;
  const reader = await server.open();
  try {
    const lists = await Promise.all(soakKinds.map((kind) => reader.list(kind)));
    const listed = new Map(
      lists
        .flatMap(({ items }) => items as readonly AnyResource[])
        .map((resource) => [keyText(keyOf(resource)), stampOf(resource)] as const),
    );
    const wrong = [...truth.defects, ...truth.differences(), ...truth.differencesFrom(listed)];
    if (wrong.length > 0) throw new Error(`${server.name}: ${wrong.join("\n")}`);
  } finally {
    await reader.close();
  }
  return tookMs;
}

interface Watching {
  readonly ended: Promise<void>;
  /** How often everything was listed. */
  readonly lists: () => number;
}

/** Tells `truth` all that a syncer tells. One that is in sync stays so: a failure tells nothing. */
function watch(datastore: Datastore, truth: Truth, signal: AbortSignal): Watching {
  let lists = 0;
  const changesOf = async function* (changes: AsyncIterable<WatchEvent>) {
    truth.watching();
    yield* changes;
  };
  // All that a syncer calls.
  const seen: Pick<Datastore, "list" | "watch" | "follow"> = {
    list: async (kind, options) => {
      if (kind === soakKinds[0]) lists++;
      truth.listing();
      return await datastore.list(kind, options);
    },
    watch: (kinds, revision, until) => changesOf(datastore.watch(kinds, revision, until)),
    ...(datastore.follow !== undefined && {
      follow: async (kinds, until) => {
        lists++;
        truth.listing();
        const followed = await datastore.follow?.(kinds, until);
        assert.ok(followed !== undefined);
        return { ...followed, changes: changesOf(followed.changes) };
      },
    }),
  };
  let status: SyncStatus | undefined;
  const callbacks = {
    onUpdates: (updates: readonly Update[]) => {
      for (const update of updates) truth.tell(update);
    },
    onStatus: (next: SyncStatus) => {
      if (status === "in-sync") truth.defects.push(`was in sync, and then ${next}`);
      status = next;
    },
  };
  const ended = runSyncer(
    { kinds: soakKinds },
    { datastore: seen as Datastore, clock: systemClock, callbacks },
    signal,
  );
  return { ended, lists: () => lists };
}
