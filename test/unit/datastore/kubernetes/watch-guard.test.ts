import assert from "node:assert/strict";
import { test } from "node:test";
import { WatchGuard } from "../../../../src/datastore/kubernetes/watch-guard.ts";
import { FakeClock } from "../../../support/fake-clock.ts";

test("all watches of a server that does not answer hear of it once, and later ones are guarded anew", async () => {
  const clock = new FakeClock();
  const check = () => Promise.reject(new Error("no answer"));
  const guard = new WatchGuard({ clock, silenceMs: 10_000, check });
  const dead: string[] = [];
  const join = (name: string) => guard.join(() => void dead.push(name));
  join("one");
  join("other");
  join("left").leave();
  await clock.advanceSlowly(30_000, 1_000);
  assert.deepEqual(dead, ["one", "other"]);
  join("later").heard();
  await clock.advanceSlowly(30_000, 1_000);
  assert.deepEqual(dead, ["one", "other", "later"]);
});
