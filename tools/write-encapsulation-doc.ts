import { readFileSync, writeFileSync } from "node:fs";
import { withCells } from "../test/encapsulation/document.ts";
import type { CellResult } from "../test/encapsulation/matrix-lab.ts";

/** Writes the cells of a run into docs/encapsulation.md. */
export function writeEncapsulationDocument(results: readonly CellResult[]): void {
  const file = new URL("../docs/encapsulation.md", import.meta.url);
  writeFileSync(file, withCells(readFileSync(file, "utf8"), results));
}
