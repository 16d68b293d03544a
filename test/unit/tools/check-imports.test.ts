import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const checker = fileURLToPath(new URL("../../../tools/check-imports.ts", import.meta.url));

function check(files: Readonly<Record<string, string>>): { code: number | null; words: string } {
  const root = mkdtempSync(join(tmpdir(), "tortie-imports-"));
  try {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      writeFileSync(join(root, file), text);
    }
    const { status, stderr } = spawnSync(process.execPath, [checker, root], { encoding: "utf8" });
    return { code: status, words: stderr };
  } finally {
    rmSync(root, { recursive: true });
  }
}

test("an import from a lower rank passes", () => {
  const { code } = check({ "felix/a.ts": 'import { x } from "../lib/x.ts";\n' });
  assert.equal(code, 0);
});

for (const [what, files] of [
  ["a wrong-way import", { "lib/a.ts": 'import { x } from "../felix/x.ts";\n' }],
  ["an import between siblings", { "bgp/a.ts": 'import { x } from "../ipam/x.ts";\n' }],
  ["a wrong-way dynamic import", { "api/a.ts": 'const x = await import("../cli/x.ts");\n' }],
  ["datastore on kernel", { "datastore/a.ts": 'import { x } from "../kernel/x.ts";\n' }],
  ["Node in a pure part", { "bgp/wire/a.ts": 'import { readFileSync } from "node:fs";\n' }],
] as const) {
  test(`${what} fails`, () => {
    const { code, words } = check(files);
    assert.equal(code, 1);
    assert.match(words, /a\.ts: /);
  });
}
