import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/** Cells of the rows of all tables of a document: last the status, before it tests, before them files. */
export function coverageRows(text: string): readonly (readonly string[])[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("| ") && !/^\| (section|what) \|/.test(line))
    .map((line) => line.slice(2, -2).split(" | "));
}

/** Files, which lie in `source`, and tests of each row exist. */
export function assertPathsExist(rows: readonly (readonly string[])[], source: string): void {
  for (const row of rows) {
    const [files = "", tests = ""] = row.slice(-3);
    for (const file of pathsOf(files)) {
      assert.ok(existsSync(join(root, source, file)), `${file} in ${row.join(" | ")}`);
    }
    for (const file of pathsOf(tests)) {
      assert.match(file, /\.test\.ts$/);
      assert.ok(existsSync(join(root, "test", file)), `${file} in ${row.join(" | ")}`);
    }
  }
}

/** Each row says what is missing, and names a file and a test of what is there. */
export function assertStatuses(rows: readonly (readonly string[])[]): void {
  for (const row of rows) {
    const [files = "", tests = "", status = ""] = row.slice(-3);
    assert.match(status, /^(done|partly|differs: .+|not done: .+|not asked: .+)/, row.join(" | "));
    if (/^not (done|asked)/.test(status) && files.trim() === "") continue;
    assert.ok(pathsOf(files).length > 0 && pathsOf(tests).length > 0, row.join(" | "));
  }
}

function pathsOf(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, path = ""]) => path);
}
