import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Etcd3 } from "etcd3";
import { keyOf } from "../../src/api/resource-key.ts";
import type { Kind } from "../../src/api/resource-of-kind.ts";
import { openEtcdDatastore } from "../../src/datastore/etcd/etcd-datastore.ts";
import { parseBigJson } from "../../src/lib/big-json.ts";
import { EtcdServer } from "../support/etcd-server.ts";
import { etcdObjects, otherEtcdKeys } from "../vectors/etcd-objects.ts";

/** Objects that Calico and we share in one etcd: each reads what the other wrote. */

const server = await EtcdServer.start();
after(() => server.remove());
const etcd = new Etcd3({ hosts: [server.endpoint] });
const datastore = await openEtcdDatastore({ endpoints: [server.endpoint] });
after(async () => {
  await datastore.close();
  etcd.close();
});

for (const { what, key, value, resource, readOnly } of etcdObjects) {
  test(`etcd: written by hand and read: ${what}`, async () => {
    await etcd.put(key).value(value);
    const read = await datastore.get(keyOf(resource));
    assert.deepEqual({ ...read.spec, deleted: false }, { ...resource.spec, deleted: false });
    assert.equal(read.metadata.name, resource.metadata.name);
    const { items } = await datastore.list<Kind>(resource.kind);
    assert.ok(items.some(({ metadata }) => metadata.name === resource.metadata.name));
    await datastore.delete(keyOf(resource));
    assert.equal(await etcd.get(key).string(), null);
  });

  if (readOnly === true) continue;
  test(`etcd: written by us, as Calico does: ${what}`, async () => {
    await datastore.create<Kind>(resource);
    const text = await etcd.get(key).string();
    assert.ok(text !== null, `${key} is not there`);
    assert.deepEqual(withoutOurMetadata(parseBigJson(text)), parseBigJson(value));
    await datastore.delete(keyOf(resource));
  });
}

test("etcd: keys of Calico's that hold no resource change nothing, and stay", async () => {
  for (const key of otherEtcdKeys) await etcd.put(key).value("x");
  for (const kind of [
    "IPAMBlock",
    "BlockAffinity",
    "IPAMHandle",
    "NetworkPolicy",
    "IPPool",
  ] as const) {
    assert.deepEqual((await datastore.list(kind)).items, [], kind);
  }
  for (const key of otherEtcdKeys) assert.equal(await etcd.get(key).string(), "x");
});

/** uid and time of creation are made at the write, as Calico makes them. */
function withoutOurMetadata(value: unknown): unknown {
  const { metadata, ...rest } = value as { readonly metadata?: Record<string, unknown> };
  if (metadata === undefined) return value;
  const { uid, creationTimestamp, ...own } = metadata;
  assert.match(String(uid), /^[0-9a-f-]{36}$/);
  assert.match(String(creationTimestamp), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  return { ...rest, metadata: own };
}
