import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { isDatastoreError } from "../../src/datastore/datastore.ts";
import { openEmbeddedDatastore } from "../../src/datastore/embedded/embedded-datastore.ts";
import { type DriverUnderTest, datastoreSuite, pool } from "./datastore.suite.ts";
import { datastoreLoadSuite } from "./datastore-load.suite.ts";

const folder = mkdtempSync(join(tmpdir(), "tortie-embedded-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const driver: DriverUnderTest = {
  name: "embedded",
  open: async () => openEmbeddedDatastore(folder, { keptChanges: 2000 }),
  compact: async () => {
    const store = openEmbeddedDatastore(folder, { keptChanges: 1 });
    await store.create<"IPPool">(pool("compactor", "10.30.0.0/16"));
    await store.close();
  },
};
await datastoreSuite(driver);
await datastoreLoadSuite(driver);

test("embedded: files are for their owner alone", () => {
  assert.equal(statSync(join(folder, "tortie.db")).mode & 0o077, 0);
});

test("embedded: a folder that cannot be made is unavailable, with the path", () => {
  const file = join(folder, "file");
  writeFileSync(file, "");
  chmodSync(file, 0o600);
  assert.throws(
    () => openEmbeddedDatastore(join(file, "below")),
    (error) => isDatastoreError(error, "unavailable") && String(error).includes(file),
  );
});

test("embedded: eight processes count to an exact sum", async () => {
  const shared = mkdtempSync(join(tmpdir(), "tortie-count-"));
  try {
    const store = openEmbeddedDatastore(shared);
    await store.create<"IPPool">({ ...pool("counter", "10.0.0.0/8"), spec: { cidr: "0" } });
    const program = fileURLToPath(new URL("./count-up.ts", import.meta.url));
    const codes = await Promise.all(
      Array.from({ length: 8 }, () => {
        const child = spawn(process.execPath, [program, shared, "100"], { stdio: "inherit" });
        return new Promise((resolve) => child.on("exit", resolve));
      }),
    );
    assert.deepEqual(
      codes,
      Array.from({ length: 8 }, () => 0),
    );
    assert.equal((await store.get({ kind: "IPPool", name: "counter" })).spec.cidr, "800");
    await store.close();
  } finally {
    rmSync(shared, { recursive: true, force: true });
  }
});

test("embedded: of several writes all take place, or none", async () => {
  const store = openEmbeddedDatastore(folder);
  const first = await store.create<"IPPool">(pool("together-1", "10.31.0.0/16"));
  const second = pool("together-2", "10.32.0.0/16");
  const both = [
    { verb: "create", resource: second },
    { verb: "update", resource: first },
  ] as const;
  const [created, updated] = (await store.writeAll?.(both)) ?? [];
  assert.deepEqual(await store.get({ kind: "IPPool", name: "together-2" }), created);
  assert.deepEqual(await store.get({ kind: "IPPool", name: "together-1" }), updated);
  const third = pool("together-3", "10.33.0.0/16");
  const stale = [{ verb: "create", resource: third } as const, both[1]];
  await assert.rejects(
    async () => store.writeAll?.(stale),
    (error) => isDatastoreError(error, "conflict"),
  );
  await assert.rejects(store.get({ kind: "IPPool", name: "together-3" }), (error) =>
    isDatastoreError(error, "not-found"),
  );
  await store.close();
});

test("embedded: what is read is shared, so that nobody can change it", async () => {
  const store = openEmbeddedDatastore(folder);
  await store.create<"IPPool">(pool("frozen", "10.34.0.0/16"));
  const { spec } = await store.get({ kind: "IPPool", name: "frozen" });
  assert.ok(Object.isFrozen(spec));
  await store.close();
});

test("embedded: a file of the older layout is read and written", async () => {
  const older = mkdtempSync(join(tmpdir(), "tortie-older-"));
  try {
    const db = new DatabaseSync(join(older, "tortie.db"));
    const text = JSON.stringify(pool("old", "10.35.0.0/16"));
    db.exec(`
      pragma journal_mode = wal;
      create table object (
        key text primary key, kind text not null, value text not null, revision integer not null
      ) without rowid;
      create index object_by_kind on object (kind, key);
      create table change (
        revision integer primary key, key text not null, kind text not null, value text
      );
      insert into object values ('IPPool/old', 'IPPool', '${text}', 1);
      insert into change values (1, 'IPPool/old', 'IPPool', '${text}');
    `);
    db.close();
    const store = openEmbeddedDatastore(older);
    const { items } = await store.list("IPPool");
    const [old] = items;
    assert.ok(old !== undefined);
    await store.update<"IPPool">({ ...old, spec: { ...old.spec, disabled: true } });
    assert.equal((await store.get({ kind: "IPPool", name: "old" })).spec.disabled, true);
    await store.close();
  } finally {
    rmSync(older, { recursive: true, force: true });
  }
});
