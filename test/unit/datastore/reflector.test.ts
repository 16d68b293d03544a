import assert from "node:assert/strict";
import { test } from "node:test";
import { runSyncer } from "../../../src/datastore/reflector.ts";
import type { SyncStatus } from "../../../src/datastore/syncer.ts";
import type { Millis } from "../../../src/lib/clock.ts";
import { pod } from "../../states/resources.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { MemoryDatastore } from "../../support/memory-datastore.ts";

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

test("a syncer that is stopped in the middle of a list tells no more and is not in sync", async () => {
  const { told, statuses } = await list((count, stop) => {
    if (count > 0) stop.abort();
  });
  assert.ok(told > 0 && told < 30, `told ${told}`);
  assert.deepEqual(statuses, ["waiting", "resyncing"]);
});
