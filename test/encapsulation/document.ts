import {
  calicoEncapsulations,
  type Encapsulation,
  type LabIpFamily,
  labIpFamilies,
} from "../../src/lab/lab-plan.ts";
import { checks } from "./checks.ts";
import type { CellResult } from "./matrix-lab.ts";

const [begin, end] = ["<!-- cells: begin -->", "<!-- cells: end -->"];
const headings: Readonly<Record<LabIpFamily, string>> = {
  ipv4: "IPv4",
  ipv6: "IPv6 alone",
  dual: "Dual stack",
};
const notTested = "not tested";
export const failed = "failed";
const notOffered = "not offered: IPIP is IPv4's";
/** Of a column: when, and of what commit. */
const lastRun = "last run";
const rows = [...checks.map(({ title }) => title), lastRun];

/** What a line of the tests' output tells of a cell, if it does. */
export function readCell(line: string): CellResult | undefined {
  const text = /^ENCAPSULATION (\{.*\})$/.exec(line)?.[1];
  return text === undefined ? undefined : (JSON.parse(text) as CellResult);
}

/**
 * The columns of a run that were seen to the end without a failure, and when that was: "2026-11-21,
 * e4e130c". Of the others the document keeps what it has.
 */
export function wholeColumns(results: readonly CellResult[], seen: string): CellResult[] {
  const columns = Map.groupBy(results, ({ ipFamily, mode }) => `${ipFamily}/${mode}`);
  return [...columns.values()]
    .filter((cells) => cells.length === checks.length)
    .filter((cells) => cells.every(({ result }) => result !== failed))
    .flatMap((cells) => cells.flatMap((cell) => [cell, { ...cell, check: lastRun, result: seen }]));
}

/** The document with the cells of a run; those that were not in the run stay as they are. */
export function withCells(document: string, results: readonly CellResult[]): string {
  const [before = "", rest = ""] = document.split(begin);
  const [tables = "", after = ""] = rest.split(end);
  const cells = new Map([...readTables(tables), ...results].map((cell) => [keyOf(cell), cell]));
  return [before, begin, "\n\n", renderTables(cells), "\n", end, after].join("");
}

function keyOf({ ipFamily, mode, check }: Omit<CellResult, "result">): string {
  return `${ipFamily}/${mode}/${check}`;
}

/** Calico's IPIP carries IPv4 (facts 2.3): there is no lab to run. */
export function isOffered(mode: Encapsulation, ipFamily: LabIpFamily): boolean {
  return ipFamily !== "ipv6" || !mode.startsWith("IPIP");
}

function renderTables(cells: ReadonlyMap<string, CellResult>): string {
  return labIpFamilies
    .map((ipFamily) => {
      const body = rows.map((check) => [
        check,
        ...calicoEncapsulations.map((mode) =>
          isOffered(mode, ipFamily)
            ? (cells.get(keyOf({ ipFamily, mode, check }))?.result ?? notTested)
            : notOffered,
        ),
      ]);
      const head = [
        [headings[ipFamily], ...calicoEncapsulations],
        ["---", ...calicoEncapsulations.map(() => "---")],
      ];
      return [...head, ...body].map((row) => `| ${row.join(" | ")} |\n`).join("");
    })
    .join("\n");
}

function readTables(text: string): CellResult[] {
  const lines = text.split("\n").filter((line) => line.startsWith("| "));
  const results: CellResult[] = [];
  let ipFamily: LabIpFamily = "ipv4";
  for (const line of lines) {
    const [first = "", ...words] = line
      .slice(2, -2)
      .split(" | ")
      .map((cell) => cell.trim());
    const heading = labIpFamilies.find((each) => headings[each] === first);
    if (heading !== undefined) ipFamily = heading;
    else if (first !== "---") {
      for (const [index, mode] of calicoEncapsulations.entries()) {
        const result = words[index] ?? notTested;
        if (result !== notTested) results.push({ check: first, mode, ipFamily, result });
      }
    }
  }
  return results;
}
