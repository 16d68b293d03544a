import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import {
  DatastoreError,
  isDatastoreError,
  type WatchEvent,
} from "../../src/datastore/datastore.ts";
import { openEtcdDatastore } from "../../src/datastore/etcd/etcd-datastore.ts";
import { runSyncer } from "../../src/datastore/reflector.ts";
import type { SyncStatus, Update } from "../../src/datastore/syncer.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { EtcdServer } from "../support/etcd-server.ts";
import { waitFor } from "../support/wait-for.ts";
import { datastoreSuite, pool } from "./datastore.suite.ts";

const server = await EtcdServer.start();
after(() => server.remove());

datastoreSuite({
  name: "etcd",
  open: () => openEtcdDatastore({ endpoints: [server.endpoint] }),
  compact: (revision) => server.compact(revision),
});

test("etcd: a unix socket serves as well", async () => {
  const datastore = await openEtcdDatastore({ endpoints: [server.socketEndpoint] });
  await datastore.create<"IPPool">(pool("socket", "10.20.0.0/16"));
  assert.equal((await datastore.get({ kind: "IPPool", name: "socket" })).spec.cidr, "10.20.0.0/16");
  await datastore.close();
});

test("etcd: the syncer survives a restart and a compaction; nothing is lost or withdrawn", async () => {
  const datastore = await openEtcdDatastore({ endpoints: [server.endpoint] });
  const known = new Map<string, Update["value"]>();
  const statuses: SyncStatus[] = [];
  let withdrawn = 0;
  const stop = new AbortController();
  const syncing = runSyncer(
    { kinds: ["IPPool"] },
    {
      datastore,
      clock: systemClock,
      callbacks: {
        onUpdates: (updates) => {
          for (const { key, value } of updates) {
            known.set(key.name, value);
            if (value === null) withdrawn++;
          }
        },
        onStatus: (status) => statuses.push(status),
      },
    },
    stop.signal,
  );
  await waitFor(() => statuses.at(-1) === "in-sync");
  await server.stop("SIGKILL");
  await delay(300);
  assert.equal(withdrawn, 0);
  await server.start();
  const writer = await openEtcdDatastore({ endpoints: [server.endpoint] });
  await writer.create<"IPPool">(pool("after-restart", "10.21.0.0/16"));
  await server.compact((await writer.list("IPPool")).revision);
  await waitFor(() => known.has("after-restart"), { timeoutMs: 20_000 });
  await writer.delete({ kind: "IPPool", name: "after-restart" });
  await waitFor(() => known.get("after-restart") === null, { timeoutMs: 10_000 });
  assert.equal(withdrawn, 1);
  assert.equal(statuses.at(-1), "in-sync");
  stop.abort();
  await syncing;
  await Promise.all([datastore.close(), writer.close()]);
});

test("etcd: a delete at the compacted revision is told, or the watch ends", async () => {
  const datastore = await openEtcdDatastore({ endpoints: [server.endpoint] });
  await datastore.create<"IPPool">(pool("buried", "10.22.0.0/16"));
  const { revision } = await datastore.list("IPPool");
  await datastore.delete({ kind: "IPPool", name: "buried" });
  await server.compact((await datastore.list("IPPool")).revision);
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), 20_000);
  const outcome = await firstOf(datastore.watch(["IPPool"], revision, stop.signal));
  clearTimeout(timer);
  stop.abort();
  assert.ok(["deleted", "compacted"].includes(outcome), outcome);
  await datastore.close();
});

async function firstOf(events: AsyncIterable<WatchEvent>): Promise<string> {
  try {
    for await (const { kind } of events) return kind;
    return "nothing";
  } catch (error) {
    return error instanceof DatastoreError ? error.code : String(error);
  }
}

test("etcd: a server that hangs is unavailable after the deadline", {
  timeout: 60_000,
}, async () => {
  const datastore = await openEtcdDatastore({ endpoints: [server.endpoint] });
  server.freeze();
  try {
    await assert.rejects(datastore.list("IPPool"), (e) => isDatastoreError(e, "unavailable"));
  } finally {
    server.thaw();
    await datastore.close();
  }
});
