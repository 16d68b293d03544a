import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { nodeNameOf } from "../../../src/node/node-name.ts";

const folder = mkdtempSync(join(tmpdir(), "tortie-name-"));
after(() => rmSync(folder, { recursive: true }));
const file = join(folder, "nodename");

test("nodeNameOf() takes NODENAME, then the file, then HOSTNAME, then the machine's name", () => {
  const absent = { CALICO_NODENAME_FILE: file };
  assert.equal(nodeNameOf({ ...absent, HOSTNAME: "Host-1.Example" }), "host-1.example");
  assert.equal(nodeNameOf(absent), hostname().trim().toLowerCase());
  writeFileSync(file, "from-file\n");
  assert.equal(nodeNameOf({ ...absent, HOSTNAME: "h" }), "from-file");
  assert.equal(nodeNameOf({ ...absent, NODENAME: "from-env" }), "from-env");
});

test("nodeNameOf() refuses a name that no resource may have", () => {
  for (const name of ["a_b", "A", "a/b", "-a", "a".repeat(254)]) {
    assert.throws(() => nodeNameOf({ NODENAME: name }), /set NODENAME/);
  }
});
