import assert from "node:assert/strict";
import { test } from "node:test";
import { SharedFeed } from "../../../../src/datastore/shared/shared-feed.ts";
import { systemClock as clock } from "../../../../src/lib/clock.ts";
import { pod } from "../../../states/resources.ts";
import { waitFor } from "../../../support/wait-for.ts";
import { CountedDatastore, follower, pool } from "./followers.ts";

/** Pools are shared, endpoints are not. */
function shared() {
  const datastore = new CountedDatastore([pool("a"), pod("p", { ip: "10.0.0.1/32" })]);
  const feed = new SharedFeed(["IPPool"], { datastore, clock });
  datastore.shared = feed;
  const stop = new AbortController();
  return { datastore, feed, stop, ports: { clock, signal: stop.signal } };
}

test("several syncers of a shared kind list it once, also one that comes late, and hear every change", async () => {
  const { datastore, feed, stop, ports } = shared();
  const [one, other] = [0, 1].map(() => follower(datastore, ["IPPool"], ports));
  await waitFor(() => one?.statuses.at(-1) === "in-sync" && other?.statuses.at(-1) === "in-sync");
  const late = follower(datastore, ["IPPool"], ports);
  assert.deepEqual([late.statuses.at(-1), [...late.names]], ["in-sync", ["a"]]);
  await datastore.create<"IPPool">(pool("b"));
  await datastore.delete<"IPPool">({ kind: "IPPool", name: "a" });
  for (const each of [one, other, late]) {
    await waitFor(() => each?.names.has("b") === true && !each.names.has("a"));
  }
  assert.equal(datastore.lists, 1);
  stop.abort();
  await Promise.all([one?.ended, other?.ended, late.ended]);
  await feed.close();
});

test("a syncer of shared and own kinds is in sync when both are", async () => {
  const { datastore, feed, stop, ports } = shared();
  const both = follower(datastore, ["IPPool", "WorkloadEndpoint"], ports);
  await waitFor(() => both.statuses.at(-1) === "in-sync");
  assert.deepEqual(both.statuses, ["waiting", "resyncing", "in-sync"]);
  assert.equal(both.names.size, 2);
  assert.equal(datastore.lists, 2);
  stop.abort();
  await both.ended;
  await feed.close();
});

test("a receiver that throws ends its own syncer, and no other", async () => {
  const { datastore, feed, stop, ports } = shared();
  const onUpdate = () => {
    throw new Error("cannot take it");
  };
  const failing = follower(datastore, ["IPPool"], { ...ports, onUpdate });
  const sound = follower(datastore, ["IPPool"], ports);
  await assert.rejects(failing.ended, /cannot take it/);
  await datastore.create<"IPPool">(pool("b"));
  await waitFor(() => sound.names.size === 2);
  stop.abort();
  await sound.ended;
  await feed.close();
});
