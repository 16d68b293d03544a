import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  DatastoreError,
  isDatastoreError,
  type WatchEvent,
} from "../../src/datastore/datastore.ts";
import { openEtcdDatastore } from "../../src/datastore/etcd/etcd-datastore.ts";
import { EtcdServer } from "../support/etcd-server.ts";
import { type DriverUnderTest, datastoreSuite, pool } from "./datastore.suite.ts";
import { datastoreLoadSuite } from "./datastore-load.suite.ts";

const server = await EtcdServer.start();
after(() => server.remove());

const driver: DriverUnderTest = {
  name: "etcd",
  open: () => openEtcdDatastore({ endpoints: [server.endpoint] }),
  compact: (revision) => server.compact(revision),
  server,
  openAt: (endpoint) =>
    openEtcdDatastore({ endpoints: [endpoint] }, { deadlineMs: 500, silenceMs: 300 }),
};
await datastoreSuite(driver);
await datastoreLoadSuite(driver);

test("etcd: a unix socket serves as well", async () => {
  const datastore = await openEtcdDatastore({ endpoints: [server.socketEndpoint] });
  await datastore.create<"IPPool">(pool("socket", "10.20.0.0/16"));
  assert.equal((await datastore.get({ kind: "IPPool", name: "socket" })).spec.cidr, "10.20.0.0/16");
  await datastore.close();
});

test("etcd: a delete at the compacted revision is told, or the watch ends", async () => {
  const datastore = await openEtcdDatastore({ endpoints: [server.endpoint] });
  await datastore.create<"IPPool">(pool("buried", "10.22.0.0/16"));
  const { revision } = await datastore.list("IPPool");
  await datastore.delete({ kind: "IPPool", name: "buried" });
  await server.compact((await datastore.list("IPPool")).revision);
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), 60_000);
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
