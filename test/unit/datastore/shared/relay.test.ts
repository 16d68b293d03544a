import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { FeedRelay } from "../../../../src/datastore/shared/relay-client.ts";
import { serveFeed } from "../../../../src/datastore/shared/relay-server.ts";
import { SharedFeed } from "../../../../src/datastore/shared/shared-feed.ts";
import { type Clock, systemClock } from "../../../../src/lib/clock.ts";
import { createLogger } from "../../../../src/lib/log.ts";
import { aborted } from "../../../../src/lib/service.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { waitFor } from "../../../support/wait-for.ts";
import { CountedDatastore, follower, pool } from "./followers.ts";

const log = createLogger({ name: "test", level: "silent" });
const kinds = ["IPPool"] as const;

function node(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "tortie-relay-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return {
    datastore: new CountedDatastore([pool("a"), pool("b")]),
    path: join(folder, "feed.sock"),
  };
}

/** The first process of a node. */
async function serve(
  t: TestContext,
  { datastore, path }: ReturnType<typeof node>,
  clock: Clock = systemClock,
) {
  const feed = new SharedFeed(kinds, { datastore, clock: systemClock });
  const follows = t.mock.method(feed, "follow");
  const stop = new AbortController();
  const ended = serveFeed(path, feed, clock)(stop.signal);
  const end = async () => {
    stop.abort();
    await ended;
    await feed.close();
  };
  t.after(end);
  await waitFor(() => statSync(path, { throwIfNoEntry: false }) !== undefined);
  return { end, follows: () => follows.mock.callCount() };
}

/** A daemon beside it, with time of its own. */
function child(
  t: TestContext,
  { path }: ReturnType<typeof node>,
  datastore: CountedDatastore,
  clock: FakeClock = new FakeClock(),
) {
  const feed = new SharedFeed(kinds, {
    datastore: new FeedRelay({ path, datastore, clock, log }),
    clock,
  });
  datastore.shared = feed;
  const stop = new AbortController();
  const told = follower(datastore, kinds, { clock, signal: stop.signal });
  t.after(async () => {
    stop.abort();
    await feed.close();
  });
  /** Until it holds; the daemon's time passes meanwhile. */
  const until = (condition: () => boolean, stepMs = 250) =>
    waitFor(async () => {
      await clock.advanceSlowly(4 * stepMs, stepMs);
      return condition();
    });
  return { told, until, clock };
}

test("a daemon is told by its node's first process, and asks the datastore nothing", async (t) => {
  const parts = node(t);
  await serve(t, parts);
  assert.equal(statSync(parts.path).mode & 0o777, 0o600);
  const own = new CountedDatastore();
  const { told, until } = child(t, parts, own);
  // So little time passes that a silent server is not given up.
  await until(() => told.statuses.at(-1) === "in-sync", 1);
  assert.deepEqual([[...told.names].sort(), told.late], [["a", "b"], []]);
  await parts.datastore.create<"IPPool">(pool("c"));
  await parts.datastore.delete<"IPPool">({ kind: "IPPool", name: "a" });
  await until(() => told.names.has("c") && !told.names.has("a"), 1);
  assert.equal(own.lists, 0);
});

test("a daemon that is told nothing new hears that its node's first process lives", async (t) => {
  const parts = node(t);
  const clock = new FakeClock();
  const { follows } = await serve(t, parts, clock);
  const { told, until } = child(t, parts, new CountedDatastore(), clock);
  await until(() => told.statuses.at(-1) === "in-sync", 1);
  const begun = clock.now();
  await until(() => clock.now() - begun > 60_000, 500);
  assert.equal(follows(), 1);
});

test("a daemon whose node's first process ends follows the datastore itself, until there is one again", async (t) => {
  const parts = node(t);
  const { datastore } = parts;
  const first = await serve(t, parts);
  const { told, until } = child(t, parts, datastore);
  await until(() => told.statuses.at(-1) === "in-sync");
  await first.end();
  const lists = datastore.lists;
  await datastore.delete<"IPPool">({ kind: "IPPool", name: "a" });
  await until(() => !told.names.has("a"));
  assert.equal(datastore.lists, lists + 1);
  await datastore.create<"IPPool">(pool("c"));
  await until(() => told.names.has("c"));
  await serve(t, parts);
  // The second process lists once; the daemon takes its word, and does not list again.
  await until(() => datastore.lists === lists + 2);
  await datastore.create<"IPPool">(pool("d"));
  await until(() => told.names.has("d"));
  assert.equal(datastore.lists, lists + 2);
  assert.deepEqual(told.statuses, ["waiting", "resyncing", "in-sync"]);
});

test("a daemon without a first process, or with the socket of one that died, follows the datastore itself", async (t) => {
  for (const dead of [false, true]) {
    const parts = node(t);
    if (dead) writeFileSync(parts.path, "");
    const { told, until, clock } = child(t, parts, parts.datastore);
    await until(() => told.statuses.at(-1) === "in-sync", dead ? 250 : 1);
    assert.deepEqual([...told.names].sort(), ["a", "b"]);
    // Without a socket there is nobody to be patient with.
    assert.ok(dead || clock.now() < 4_500);
  }
});

test("a first process that does not follow all that is asked for, or hangs, is no answer, and no reason to list again", async (t) => {
  for (const hangs of [false, true]) {
    const parts = node(t);
    let asked = 0;
    const feed = new SharedFeed(["Node"], { datastore: parts.datastore, clock: systemClock });
    const stop = new AbortController();
    const refuse = serveFeed(parts.path, feed, systemClock);
    const ended = hangs
      ? serveNothing(parts.path, () => asked++, stop.signal)
      : refuse(stop.signal);
    t.after(async () => {
      stop.abort();
      await ended;
      await feed.close();
    });
    await waitFor(() => statSync(parts.path, { throwIfNoEntry: false }) !== undefined);
    const own = new CountedDatastore([pool("a"), pool("b")]);
    const { told, until, clock } = child(t, parts, own);
    await until(() => told.statuses.at(-1) === "in-sync");
    assert.equal(told.names.size, 2);
    const begun = clock.now();
    await until(() => clock.now() - begun > 100_000 && (!hangs || asked >= 3), 2_500);
    assert.equal(own.lists, 1);
    await own.create<"IPPool">(pool("c"));
    await until(() => told.names.has("c"));
  }
});

/** What takes requests, and does not answer them. */
async function serveNothing(path: string, onAsked: () => void, signal: AbortSignal): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => undefined));
    onAsked();
  }).listen(path);
  await aborted(signal);
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
}
