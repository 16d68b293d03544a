import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openEmbeddedDatastore } from "../../src/datastore/embedded/embedded-datastore.ts";
import { openEtcdDatastore } from "../../src/datastore/etcd/etcd-datastore.ts";
import { EtcdServer } from "../support/etcd-server.ts";
import { sampleCluster } from "../support/sample-cluster.ts";
import { ipamOn, pool } from "../unit/ipam/cluster.ts";
import { contents, everything, move, refusal, run, type Store } from "./migration.ts";

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

test("a value in etcd that cannot be decoded is no object of a list, and stops an export, which names its key", async () => {
  const path = "/calico/resources/v3/projectcalico.org/ippools/broken";
  const datastore = await etcdStore.open();
  await datastore.create<"IPPool">(pool("whole", { cidr: "10.40.0.0/16" }));
  await run(etcdStore, "lock");
  await etcd.put(new Map([[path, '{"kind":"IPPool","spec":']]));
  const { items, unreadable } = await datastore.list("IPPool");
  assert.ok(items.some(({ metadata }) => metadata.name === "whole"));
  assert.deepEqual(unreadable, [path]);
  const said = await refusal(etcdStore, "export");
  assert.ok(said.startsWith(`Cannot read what the datastore has of IPPool at ${path}: `), said);
  await etcd.deletePrefix(path);
  assert.match(await run(etcdStore, "export"), /"name": "whole"/);
  await datastore.close();
});
