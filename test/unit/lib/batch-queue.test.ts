import assert from "node:assert/strict";
import { test } from "node:test";
import { BatchQueue, type BatchWork } from "../../../src/lib/batch-queue.ts";
import { KeyedLock } from "../../../src/lib/keyed-lock.ts";

/** A queue that doubles numbers, and refuses those below zero. `batches` grows by each batch. */
function doubling(work: Partial<BatchWork<number, number>> = {}) {
  const batches: string[] = [];
  const lock = new KeyedLock();
  const queue = new BatchQueue<number, number>(
    {
      limit: 3,
      mayJoin: () => true,
      work: async (key, batch) => {
        batches.push(`${key}: ${batch}`);
        return batch.map((number) =>
          number < 0
            ? { status: "rejected", reason: new RangeError(`${number}`) }
            : { status: "fulfilled", value: 2 * number },
        );
      },
      ...work,
    },
    lock,
  );
  return { queue, lock, batches };
}

test("what waits is worked on together, in order, no more than the limit at once, by key", async () => {
  const { queue, batches } = doubling();
  const first = Promise.all([1, 2, 3, 4, 5].map((number) => queue.run("a", number)));
  assert.deepEqual(await Promise.all([first, queue.run("b", 9)]), [[2, 4, 6, 8, 10], 18]);
  assert.deepEqual(batches.toSorted(), ["a: 1,2,3", "a: 4,5", "b: 9"]);
  assert.equal(await queue.run("a", 6), 12);
});

test("a request that may not join begins the next batch", async () => {
  const { queue, batches } = doubling({ mayJoin: (number, batch) => !batch.includes(number) });
  await Promise.all([1, 2, 1, 2].map((number) => queue.run("a", number)));
  assert.deepEqual(batches, ["a: 1,2", "a: 1,2"]);
});

test("each request has its own outcome; where the work itself fails, all fail", async () => {
  const { queue } = doubling();
  const outcomes = await Promise.allSettled([1, -1, 2].map((number) => queue.run("a", number)));
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  const failing = doubling({ work: () => Promise.reject(new Error("out of order")) });
  const failed = await Promise.allSettled([1, 2].map((number) => failing.queue.run("a", number)));
  assert.deepEqual(
    failed.map(({ status }) => status),
    ["rejected", "rejected"],
  );
  assert.equal(await queue.run("a", 5), 10);
});

test("a batch waits for other work under its lock, and takes what has come meanwhile", async () => {
  const { queue, lock, batches } = doubling();
  let finish = (): void => undefined;
  const other = lock.run("a", () => new Promise<void>((resolve) => (finish = resolve)));
  const early = queue.run("a", 1);
  await new Promise((resolve) => setImmediate(resolve));
  const late = queue.run("a", 2);
  assert.deepEqual(batches, []);
  finish();
  await Promise.all([other, early, late]);
  assert.deepEqual(batches, ["a: 1,2"]);
});
