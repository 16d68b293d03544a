import assert from "node:assert/strict";
import { test } from "node:test";
import { DatastoreError, isDatastoreError } from "../../../../src/datastore/datastore.ts";
import { FollowedReads } from "../../../../src/datastore/shared/followed-reads.ts";
import { SharedFeed } from "../../../../src/datastore/shared/shared-feed.ts";
import { type Clock, systemClock as clock } from "../../../../src/lib/clock.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { waitFor } from "../../../support/wait-for.ts";
import { CountedDatastore, pool } from "./followers.ts";

const key = { kind: "IPPool", name: "a" } as const;

async function reading(readsClock: Clock = clock) {
  const datastore = new CountedDatastore([pool("a")]);
  const feed = new SharedFeed(["IPPool"], { datastore, clock });
  const reads = new FollowedReads({ datastore, feed, clock: readsClock });
  await reads.get(key);
  return { datastore, feed, reads };
}

test("what is followed is read from the copy; what is not, from the datastore", async () => {
  const { datastore, feed, reads } = await reading();
  const { items } = await reads.list("IPPool");
  assert.deepEqual(items, [await reads.get(key)]);
  const absent = { ...key, name: "absent" };
  await assert.rejects(reads.get(absent), (error) => isDatastoreError(error, "not-found"));
  assert.deepEqual([datastore.lists, datastore.gets], [1, 0]);
  await reads.list("BGPPeer");
  assert.equal(datastore.lists, 2);
  await feed.close();
});

test("a write through here is in what is read next", async () => {
  const { datastore, feed, reads } = await reading();
  const written = await reads.update<"IPPool">({
    ...(await reads.get(key)),
    spec: { cidr: "10.1.0.0/16" },
  });
  assert.deepEqual(await reads.get(key), written);
  await reads.create<"IPPool">(pool("b"));
  assert.equal((await reads.list("IPPool")).items.length, 2);
  assert.equal(datastore.gets, 0);
  await feed.close();
});

test("after a conflict, what is read next is newer than what was refused", async () => {
  const { datastore, feed, reads } = await reading();
  const before = await reads.get(key);
  const theirs = await datastore.update<"IPPool">({ ...before, spec: { cidr: "10.2.0.0/16" } });
  await assert.rejects(reads.update<"IPPool">(before), (error) =>
    isDatastoreError(error, "conflict"),
  );
  assert.equal((await reads.get(key)).metadata.resourceVersion, theirs.metadata.resourceVersion);
  await feed.close();
});

test("a write that did not take place, and one whose object went again, are waited for once", async () => {
  const clock = new FakeClock();
  const { datastore, feed, reads } = await reading(clock);
  const before = await reads.get(key);
  datastore.next("update", new DatastoreError("away", { code: "unavailable" }));
  await assert.rejects(reads.update<"IPPool">(before), (error) =>
    isDatastoreError(error, "unavailable"),
  );
  const asked = reads.get(key);
  await waitFor(async () => {
    await clock.advanceSlowly(1_000);
    return datastore.gets === 1;
  });
  assert.deepEqual(await asked, before);
  // Time stands still: nothing is waited for.
  assert.deepEqual(await reads.get(key), before);
  assert.equal(datastore.gets, 1);
  await reads.create<"IPPool">(pool("b"));
  await datastore.delete<"IPPool">({ kind: "IPPool", name: "b" });
  const last = await datastore.create<"IPPool">(pool("c"));
  await waitFor(() => feed.find({ kind: "IPPool", name: "c" }) !== undefined);
  const lists = datastore.lists;
  const listed = reads.list("IPPool");
  await waitFor(async () => {
    await clock.advanceSlowly(1_000);
    return datastore.lists > lists;
  });
  assert.deepEqual((await listed).items, [before, last]);
  assert.deepEqual((await reads.list("IPPool")).items, [before, last]);
  assert.equal(datastore.lists, lists + 1);
  await feed.close();
});

test("while the datastore tells nothing, it is asked, and its word counts", async () => {
  const { datastore, feed, reads } = await reading();
  datastore.cut();
  await waitFor(() => !feed.isCurrent);
  await reads.get(key);
  assert.equal(datastore.gets, 1);
  datastore.next("get", new DatastoreError("away", { code: "unavailable" }));
  await assert.rejects(reads.get(key), (error) => isDatastoreError(error, "unavailable"));
  await feed.close();
});
