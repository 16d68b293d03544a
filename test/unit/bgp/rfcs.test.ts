import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { assertPathsExist, assertStatuses, coverageRows } from "../../support/coverage-table.ts";

const root = join(import.meta.dirname, "../../..");
const text = readFileSync(join(root, "docs/rfcs.md"), "utf8");
const source = join(root, "src/bgp");

/** Those that issue 3 asks for. */
const asked = [
  ...[4271, 4760, 5492, 6793, 7606, 6286, 7607, 4456, 4724, 8538, 9494, 2918, 7313, 7911, 8654],
  ...[9072, 1997, 4360, 8092, 8326, 8203, 9003, 4486, 9687, 8950, 5065, 2385, 5082, 5880, 5881],
  ...[5883, 7854, 6396],
];
/** Cited for a word or a number, not for what BGP does: text forms, reserved numbers, other protocols. */
const onlyCited = new Set(["4291", "5291", "5396", "5952", "7300"]);

const rows = coverageRows(text);

suite("docs/rfcs.md", () => {
  test("names files and tests that exist", () => assertPathsExist(rows, "src/bgp"));

  test("has a status that says what is missing, and a file and a test of what is there", () =>
    assertStatuses(rows));

  test("has a section for each RFC that was asked for, or that a source file cites", () => {
    const sections = new Set([...text.matchAll(/^## RFC (\d+)/gm)].map(([, rfc = ""]) => rfc));
    for (const rfc of asked) assert.ok(sections.has(String(rfc)), `RFC ${rfc}`);
    for (const entry of readdirSync(source, { recursive: true, encoding: "utf8" })) {
      if (!entry.endsWith(".ts")) continue;
      for (const [, rfc = ""] of readFileSync(join(source, entry), "utf8").matchAll(
        /RFC (\d{4})/g,
      )) {
        assert.ok(sections.has(rfc) || onlyCited.has(rfc), `RFC ${rfc} in ${entry}`);
      }
    }
  });
});
