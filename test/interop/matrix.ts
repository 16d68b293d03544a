import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { Daemon } from "../support/daemons/daemon.ts";
import { cannotMakeNetns } from "../support/netns.ts";
import { type DaemonResult, readCells } from "./document.ts";
import { Lab } from "./lab.ts";
import { rows } from "./rows/index.ts";
import { type RowId, rowTitles } from "./rows/row.ts";

/*
 * The interop matrix, daemon x row.
 *
 *   rows/row.ts       ids and titles of the rows, in the order of docs/interop.md
 *   rows/*.ts         what each row does, once, in neutral words: `(lab) => Promise`
 *   lab.ts            two namespaces of one cell: our speaker (`tortie bgp --config`, speaker.ts) is
 *                     10.99.0.1 and fd99::1, the daemon is .2, a second speaker of ours can be .3
 *   test/support/daemons/daemon.ts   what a daemon must be able to do for the rows; beside it one file
 *                     for each daemon, that writes its configuration and reads its answers
 *   NAME.test.ts      `runMatrix(daemon)`: all rows of one daemon, some at once
 *   document.ts       docs/interop.md, which the run checks, or writes (`--write-doc` of run-tests)
 *
 * A row that a daemon cannot do is in its `cannot`, with the words of its documentation; that is not
 * tested, and becomes the cell. A new daemon needs a file in test/support/daemons and a NAME.test.ts.
 */

/** Cells at once: they wait most of their time. */
const concurrency = 4;

const documentFile = new URL("../../docs/interop.md", import.meta.url);

/** Where results go when the document is to be written; else it is checked. */
const resultsFolder = process.env["INTEROP_RESULTS"];

/** All rows against one daemon, and what docs/interop.md says of it. */
export function runMatrix(daemon: Daemon): void {
  const skip = cannotMakeNetns();
  const cells: { -readonly [Id in RowId]?: DaemonResult["cells"][Id] } = { ...daemon.cannot };
  describe(`interop with ${daemon.name}`, { skip, concurrency }, () => {
    if (!existsSync(daemon.program)) {
      test(`${daemon.program} is there`, () => {
        assert.fail(
          `${daemon.name} is not installed: sh tools/setup.sh --test installs the package ${daemon.debianPackage}`,
        );
      });
      return;
    }
    for (const [id, title] of Object.entries(rowTitles) as [RowId, string][]) {
      const row = rows[id];
      if (daemon.cannot[id] !== undefined) continue;
      test(`${daemon.name}: ${title}`, async (t) => {
        const lab = await Lab.make(daemon, `${daemon.name.slice(0, 2)}${id}`.toLowerCase());
        try {
          await row(lab);
          cells[id] = "yes";
        } catch (error) {
          t.diagnostic(lab.log);
          throw error;
        } finally {
          await lab.remove();
        }
      });
    }
  });
  test(`docs/interop.md says the same of ${daemon.name}`, { skip }, async () => {
    if (resultsFolder === undefined) checkDocument(daemon, cells);
    else await writeResult(resultsFolder, daemon, cells);
  });
}

/** Rows that failed are told already. */
function checkDocument({ name }: Daemon, cells: DaemonResult["cells"]): void {
  const written = readCells(readFileSync(documentFile, "utf8"), name);
  for (const [id, cell] of Object.entries(cells) as [RowId, DaemonResult["cells"][RowId]][]) {
    const expected = cell === "yes" ? "yes" : "no";
    assert.equal(
      written.get(rowTitles[id]),
      expected,
      `"${rowTitles[id]}" of ${name}: npm run test:interop -- --write-doc`,
    );
  }
}

async function writeResult(
  folder: string,
  daemon: Daemon,
  cells: DaemonResult["cells"],
): Promise<void> {
  const { name, debianPackage } = daemon;
  const result: DaemonResult = { name, debianPackage, version: await daemon.version(), cells };
  writeFileSync(join(folder, `${name}.json`), JSON.stringify(result));
}
