import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type DaemonResult, renderDocument } from "../test/interop/document.ts";

/** The order of the columns: what is asked for most comes first. */
const order = ["BIRD", "FRR", "GoBGP", "OpenBGPD", "ExaBGP"];

/** Writes docs/interop.md from the results that the tests of a run have left in a folder. */
export function writeInteropDocument(folder: string): void {
  const results = readdirSync(folder).map(
    (file) => JSON.parse(readFileSync(join(folder, file), "utf8")) as DaemonResult,
  );
  results.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  writeFileSync(new URL("../docs/interop.md", import.meta.url), renderDocument(results));
}
