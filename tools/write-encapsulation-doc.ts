import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { withCells, withLastRun } from "../test/encapsulation/document.ts";
import type { CellResult } from "../test/encapsulation/matrix-lab.ts";

/** Writes the cells of a run into docs/encapsulation.md, with the day and the commit of the run. */
export function writeEncapsulationDocument(results: readonly CellResult[]): void {
  const file = new URL("../docs/encapsulation.md", import.meta.url);
  const commit = execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8" });
  const seen = `${new Date().toISOString().slice(0, 10)}, ${commit.trim()}`;
  writeFileSync(file, withCells(readFileSync(file, "utf8"), withLastRun(results, seen)));
}
