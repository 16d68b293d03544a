import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { isDatastoreError } from "../../src/datastore/datastore.ts";
import { openEmbeddedDatastore } from "../../src/datastore/embedded/embedded-datastore.ts";
import { datastoreSuite, pool } from "./datastore.suite.ts";

const folder = mkdtempSync(join(tmpdir(), "tortie-embedded-"));
after(() => rmSync(folder, { recursive: true, force: true }));

datastoreSuite({
  name: "embedded",
  open: async () => openEmbeddedDatastore(folder, { keptChanges: 2000 }),
  compact: async () => {
    const store = openEmbeddedDatastore(folder, { keptChanges: 1 });
    await store.create<"IPPool">(pool("compactor", "10.30.0.0/16"));
    await store.close();
  },
});

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
