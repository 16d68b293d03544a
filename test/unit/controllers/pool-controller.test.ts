import assert from "node:assert/strict";
import { test } from "node:test";
import { allocatableCondition } from "../../../src/api/pool-condition.ts";
import type { IPPool } from "../../../src/api/resources/ip-pool.ts";
import { poolController, poolFinalizer } from "../../../src/controllers/pool-controller.ts";
import { Ipam } from "../../../src/ipam/ipam.ts";
import { createLogger } from "../../../src/lib/log.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { MemoryDatastore } from "../../support/memory-datastore.ts";
import { createCluster, pool } from "../ipam/cluster.ts";

const key = { kind: "IPPool", name: "pods" } as const;

/** A store without finalizers: it keeps the object, so that a test sees what was written. */
async function running(t: { after(fn: () => Promise<void>): void }) {
  const datastore = new MemoryDatastore();
  const clock = new FakeClock();
  await createCluster(datastore, {
    pools: [pool("pods", { cidr: "10.0.0.0/24", blockSize: 28 })],
    nodes: { node1: {} },
  });
  const ipam = new Ipam({ datastore, clock, random: () => 0 });
  const log = createLogger({ name: "test", level: "silent" });
  const stop = new AbortController();
  const ended = poolController({ datastore, ipam, clock, log })(stop.signal);
  t.after(async () => {
    stop.abort();
    await ended;
  });
  return {
    ipam,
    pass: (seconds: number) => clock.advanceSlowly(seconds * 1_000, 500),
    create: (given: IPPool) => datastore.create<"IPPool">(given),
    remove: () => datastore.delete(key),
    reason: async (name: string) =>
      allocatableCondition(await datastore.get({ kind: "IPPool", name }))?.reason,
    finalizers: async () => (await datastore.get(key)).metadata.finalizers,
    blocks: async () => (await datastore.list("IPAMBlock")).items.length,
    write: async (metadata: Partial<IPPool["metadata"]>) => {
      const was = await datastore.get(key);
      await datastore.update<"IPPool">({ ...was, metadata: { ...was.metadata, ...metadata } });
    },
    assign: () =>
      ipam.autoAssign({ handle: "h", node: "node1", use: "Workload", num4: 1, attributes: {} }),
  };
}

test("a pool that is being deleted stays until its last address is free", async (t) => {
  const it = await running(t);
  await it.assign();
  await it.pass(5);
  assert.deepEqual(await it.finalizers(), [poolFinalizer]);
  await it.write({
    finalizers: ["other", poolFinalizer],
    deletionTimestamp: "2026-01-01T00:00:00Z",
  });
  await it.pass(130);
  assert.deepEqual(await it.finalizers(), ["other", poolFinalizer]);
  await assert.rejects(it.assign(), /it is being deleted/);
  await it.ipam.releaseByHandle("h");
  await it.pass(130);
  assert.deepEqual(await it.finalizers(), ["other"]);
  assert.equal(await it.blocks(), 0);
});

test("blocks without addresses do not hold a pool", async (t) => {
  const it = await running(t);
  await it.assign();
  await it.ipam.releaseByHandle("h");
  assert.equal(await it.blocks(), 1);
  await it.pass(5);
  await it.write({ deletionTimestamp: "2026-01-01T00:00:00Z" });
  await it.pass(65);
  assert.deepEqual([await it.finalizers(), await it.blocks()], [[], 0]);
});

test("of pools that overlap one gives addresses, and the other when that one has gone", async (t) => {
  const it = await running(t);
  await it.assign();
  await it.pass(5);
  const again = pool("again", { cidr: "10.0.0.0/25", blockSize: 28 });
  await it.create(again);
  await it.pass(5);
  assert.deepEqual([await it.reason("pods"), await it.reason("again")], ["OK", "CIDROverlap"]);
  await it.write({ deletionTimestamp: "2026-01-01T00:00:00Z" });
  await it.ipam.releaseByHandle("h");
  await it.pass(65);
  assert.deepEqual([await it.finalizers(), await it.blocks()], [[], 0]);
  assert.equal(await it.reason("pods"), "Terminating");
  await it.remove();
  await it.pass(5);
  assert.equal(await it.reason("again"), "OK");
});
