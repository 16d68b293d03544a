import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const source = fileURLToPath(new URL("../../../../src", import.meta.url));

/** Imports that are there at run time, loaded at once: types are not, and import() is not. */
const valueImport = /^(?:import|export) (?!type )(?:[^;"]*?from )?"([^"]+)"/gm;

/** Every module that `file` loads by itself: files of ours, and packages. */
function loadedBy(file: string, seen = new Set<string>()): ReadonlySet<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const [, target = ""] of readFileSync(file, "utf8").matchAll(valueImport)) {
    if (target.startsWith(".")) loadedBy(join(dirname(file), target), seen);
    else seen.add(target);
  }
  return seen;
}

test("a speaker of its own file loads no datastore, and no library for one", () => {
  const loaded = [
    ...loadedBy(join(source, "main.ts")),
    ...loadedBy(join(source, "wiring/bgp-command.ts")),
    ...loadedBy(join(source, "wiring/standalone.ts")),
  ];
  assert.ok(loaded.includes(join(source, "bgp/speaker/speaker.ts")));
  assert.ok(loaded.includes("yaml"));
  assert.deepEqual(
    loaded.filter((name) => /^etcd3|^@kubernetes|src\/datastore\/|src\/api\//.test(name)),
    [],
  );
});
