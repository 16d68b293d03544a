import type { Citation } from "../support/daemons/daemon.ts";
import { type RowId, rowTitles } from "./rows/row.ts";

/** What a run has found of one daemon. */
export interface DaemonResult {
  readonly name: string;
  readonly version: string;
  readonly debianPackage: string;
  /** Rows that passed, and rows that the daemon cannot do. */
  readonly cells: Partial<Record<RowId, "yes" | Citation>>;
}

const ids = Object.keys(rowTitles) as RowId[];

/** docs/interop.md of a run with all daemons. */
export function renderDocument(results: readonly DaemonResult[]): string {
  const names = results.map(({ name }) => name);
  const notes: string[] = [];
  const tested = ids.filter((id) => results.some(({ cells }) => cells[id] !== undefined));
  const rows = tested.map((id) => {
    const cells = results.map(({ name, cells: { [id]: cell } }) => {
      if (cell === undefined) return "-";
      if (cell === "yes") return "yes";
      const note = `${name}: "${cell.words}" (${cell.url})`;
      if (!notes.includes(note)) notes.push(note);
      return `no [^${notes.indexOf(note) + 1}]`;
    });
    return line([rowTitles[id], ...cells]);
  });
  return `${[
    "# Interop",
    "",
    "Made by `npm run test:interop -- --write-doc`: do not edit. Each cell is a test of `test/interop` that runs",
    "`tortie bgp --config` and the daemon, as Debian packages it, in network namespaces of their own. `npm test`",
    "runs them all and checks that the cells here agree; versions are those of the run that wrote this.",
    "",
    ...table(
      ["daemon", "version", "Debian package"],
      [...results.map(({ name, version, debianPackage }) => line([name, version, debianPackage]))],
    ),
    "",
    ...table(["", ...names], rows),
    "",
    ...notes.map((note, index) => `[^${index + 1}]: ${note}`),
  ]
    .join("\n")
    .trimEnd()}\n`;
}

/** The cells of one daemon in a document: "yes" or "no" by the row's title. */
export function readCells(text: string, name: string): ReadonlyMap<string, string> {
  const tables = text.split(/\n\n/).filter((block) => block.startsWith("|"));
  for (const block of tables) {
    const [head = [], _rule, ...rows] = block.split("\n").map(cellsOf);
    const column = head.indexOf(name);
    if (column < 1) continue;
    return new Map(rows.map((row) => [row[0] ?? "", (row[column] ?? "").split(" ")[0] ?? ""]));
  }
  return new Map();
}

function table(head: readonly string[], rows: readonly string[]): readonly string[] {
  return [line(head), line(head.map(() => "---")), ...rows];
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

function cellsOf(text: string): readonly string[] {
  return text
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());
}
