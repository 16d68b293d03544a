import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { assertPathsExist, assertStatuses, coverageRows } from "../../support/coverage-table.ts";

const text = readFileSync(join(import.meta.dirname, "../../../docs/ipam.md"), "utf8");
const rows = coverageRows(text);
const subsections = 13;

suite("docs/ipam.md", () => {
  test("names files and tests that exist", () => assertPathsExist(rows, "src"));

  test("has a status that says what is missing, and a file and a test of what is there", () =>
    assertStatuses(rows));

  test("has a row for each subsection of Calico's protocol", () => {
    const listed = new Set(rows.map(([section = ""]) => section));
    for (let index = 1; index <= subsections; index++) {
      assert.ok(listed.has(`3.${index}`), `3.${index}`);
    }
  });
});
