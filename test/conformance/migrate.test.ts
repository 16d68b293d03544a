import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openEmbeddedDatastore } from "../../src/datastore/embedded/embedded-datastore.ts";
import { openEtcdDatastore } from "../../src/datastore/etcd/etcd-datastore.ts";
import { EtcdServer } from "../support/etcd-server.ts";
import { sampleCluster } from "../support/sample-cluster.ts";
import { ipamOn } from "../unit/ipam/cluster.ts";
import { contents, everything, move, run, type Store } from "./migration.ts";

const folder = mkdtempSync(join(tmpdir(), "tt-migrate-"));
const etcd = await EtcdServer.start();
after(async () => {
  await etcd.remove();
  rmSync(folder, { recursive: true });
});

const embedded = (name: string): Store => ({
  type: "embedded",
  open: async () => openEmbeddedDatastore(join(folder, name)),
});
const etcdStore: Store = {
  type: "etcdv3",
  open: () => openEtcdDatastore({ endpoints: [etcd.endpoint] }),
};

test("embedded to etcd and back: every object is the same", async () => {
  const [first, second] = [embedded("first"), embedded("second")];
  const datastore = await first.open();
  await sampleCluster(datastore);
  await datastore.close();
  await run(first, "lock");
  const before = await contents(first, everything);
  assert.ok(Object.keys(before).length > 25);
  await move(first, etcdStore);
  await move(etcdStore, second);
  assert.deepEqual(await contents(second, everything), before);
  await run(second, "unlock");
  const moved = await second.open();
  assert.deepEqual((await ipamOn(moved).audit()).problems, []);
  await moved.close();
});
