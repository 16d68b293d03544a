import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { wholeColumns, withCells } from "../test/encapsulation/document.ts";
import type { CellResult } from "../test/encapsulation/matrix-lab.ts";

/** A run that begins now, as the document names it: day and commit. */
export function thisRun(): string {
  const commit = execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8" });
  return `${new Date().toISOString().slice(0, 10)}, ${commit.trim()}`;
}

/** Writes the columns of a run into docs/encapsulation.md. */
export function writeEncapsulationDocument(results: readonly CellResult[], run: string): void {
  const file = new URL("../docs/encapsulation.md", import.meta.url);
  writeFileSync(file, withCells(readFileSync(file, "utf8"), wholeColumns(results, run)));
}
