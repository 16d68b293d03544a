import assert from "node:assert/strict";
import { test } from "node:test";
import { keyOf } from "../../../src/api/resource-key.ts";
import { DatastoreError, type WatchEvent } from "../../../src/datastore/datastore.ts";
import { listAndWatch } from "../../../src/datastore/list-and-watch.ts";
import { runSyncer } from "../../../src/datastore/reflector.ts";
import type { SyncStatus, Update } from "../../../src/datastore/syncer.ts";
import type { Millis } from "../../../src/lib/clock.ts";
import { pod } from "../../states/resources.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { MemoryDatastore } from "../../support/memory-datastore.ts";
import { waitFor } from "../../support/wait-for.ts";

/** By which every look at it takes a slice: each step has a turn of its own. */
class SlowClock extends FakeClock {
  override now(): Millis {
    this.advance(10);
    return super.now();
  }
}

/** Lists 30 pods. `onTurn` runs in every turn of the event loop, and may stop it. */
async function list(onTurn: (told: number, stop: AbortController) => void) {
  const pods = Array.from({ length: 30 }, (_, i) => pod(`p${i}`, { ip: `10.0.0.${i}/32` }));
  const stop = new AbortController();
  const statuses: SyncStatus[] = [];
  let told = 0;
  const turn = () => {
    onTurn(told, stop);
    if (!stop.signal.aborted) setImmediate(turn);
  };
  setImmediate(turn);
  await runSyncer(
    { kinds: ["WorkloadEndpoint"] },
    {
      datastore: new MemoryDatastore(pods),
      clock: new SlowClock(),
      callbacks: {
        onUpdates: (updates) => {
          told += updates.length;
        },
        onStatus: (status) => {
          statuses.push(status);
          if (status === "in-sync") stop.abort();
        },
      },
    },
    stop.signal,
  );
  return { told, statuses };
}

test("a long list is told in turns of the event loop, and is in sync after all of it", async () => {
  let turns = 0;
  const { told, statuses } = await list(() => turns++);
  assert.deepEqual([told, statuses], [30, ["waiting", "resyncing", "in-sync"]]);
  assert.ok(turns >= 30, `${turns} turns`);
});

test("a watch that goes on counts once every kind has told something, and all of that was told", async () => {
  const heard: string[] = [];
  const stop = new AbortController();
  const proceed = Promise.withResolvers<void>();
  const resource = pod("new", { ip: "10.0.0.1/32" });
  let watches = 0;
  const watch = async function* (): AsyncGenerator<WatchEvent> {
    if (++watches === 1) throw new DatastoreError("away", { code: "unavailable" });
    // One kind goes on; another is not there yet.
    yield { kind: "progress", revision: "5" };
    heard.push("first kind");
    await proceed.promise;
    yield { kind: "set", key: keyOf(resource), resource, revision: "6" };
    stop.abort();
  };
  const clock = new FakeClock();
  const running = listAndWatch(
    { kinds: ["WorkloadEndpoint"] },
    {
      datastore: { list: async () => ({ items: [], revision: "5" }), watch },
      clock,
      callbacks: {
        onUpdates: (updates) => void heard.push(...updates.map(({ key }) => key.name)),
        onStatus: () => undefined,
      },
      onWatching: (isWatching) => void heard.push(isWatching ? "current" : "old"),
    },
    stop.signal,
  );
  await waitFor(async () => {
    await clock.advanceSlowly(1_000);
    return heard.includes("first kind");
  });
  assert.deepEqual(heard, ["current", "old", "first kind"]);
  proceed.resolve();
  await running;
  assert.deepEqual(heard.slice(3), ["new", "current"]);
});

test("what went while the datastore forgot its history is told as gone", async (t) => {
  const [stays, goes] = ["stays", "goes"].map((name, i) => pod(name, { ip: `10.0.0.${i}/32` }));
  assert.ok(stays !== undefined && goes !== undefined);
  const datastore = new MemoryDatastore([stays, goes]);
  const { list } = datastore;
  let lists = 0;
  datastore.list = async (kind, options) => {
    const found = await list.call(datastore, kind, options);
    // It goes right after the first list, and the watch from there is refused.
    if (++lists === 1) {
      await datastore.delete(keyOf(goes));
      datastore.compact("1000");
    } else datastore.compact("0");
    return found as never;
  };
  const clock = new FakeClock();
  const stop = new AbortController();
  const gone: string[] = [];
  const onUpdates = (updates: readonly Update[]) => {
    gone.push(...updates.flatMap(({ key, value }) => (value === null ? [key.name] : [])));
  };
  const callbacks = { onUpdates, onStatus: () => undefined };
  const ports = { datastore, clock, callbacks };
  const ended = runSyncer({ kinds: ["WorkloadEndpoint"] }, ports, stop.signal);
  t.after(async () => {
    stop.abort();
    await ended;
  });
  await clock.advanceSlowly(10_000, 500);
  assert.deepEqual(gone, [goes.metadata.name]);
});

test("a syncer that is stopped in the middle of a list tells no more and is not in sync", async () => {
  const { told, statuses } = await list((count, stop) => {
    if (count > 0) stop.abort();
  });
  assert.ok(told > 0 && told < 30, `told ${told}`);
  assert.deepEqual(statuses, ["waiting", "resyncing"]);
});
