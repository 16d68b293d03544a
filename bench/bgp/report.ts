import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { method } from "./method.ts";
import type { Results } from "./results.ts";
import type { Row } from "./rows.ts";
import {
  bestOf,
  type Cell,
  cellOf,
  othersOf,
  processorTimeOf,
  verdictOf,
  worstOf,
} from "./verdict.ts";

const document = fileURLToPath(new URL("../../docs/bench/bgp.md", import.meta.url));

/** Cores on which a row counts. */
const requiredCores = 4;
const longestBlockMs = 50;
/** Hold time that tortie's clients propose. */
const holdMs = 9000;

/** The tables of a run, in Markdown: what stdout and the document show. */
export function tables(results: Results): string {
  const parts = [machineText(results), timeTable(results), watchTable(results)];
  const configurations = configurationTable(results);
  if (configurations !== undefined) parts.push(configurations);
  parts.push(processorTable(results));
  return `${parts.join("\n\n")}\n`;
}

export async function writeDocument(results: Results): Promise<void> {
  await mkdir(dirname(document), { recursive: true });
  await writeFile(document, `${method(results.rows)}\n## Results\n\n${tables(results)}`);
}

/** All medians and verdicts, for programs. */
export function jsonText(results: Results): string {
  const { targets, runs, tablePrefixes, machine } = results;
  const rows = results.rows.map((row) => ({
    id: row.id,
    title: titleOf(results, row),
    unit: row.unit,
    limit: row.limit,
    cells: Object.fromEntries(targets.map(({ name }) => [name, cellOf(results, row, name)])),
    verdict: { ...verdictOf(results, row), counts: machine.cores >= requiredCores },
    tortie: watched(results, row),
  }));
  return `${JSON.stringify({ machine, targets, runs, tablePrefixes, rows }, null, 2)}\n`;
}

function machineText({ targets, runs, tablePrefixes, machine }: Results): string {
  const { cores, processor, kernel, load, at } = machine;
  const versions = new Map(targets.map(({ daemon, version }) => [daemon, version]));
  const names = [...versions].map(([daemon, version]) => `${daemon} ${version}`).join(", ");
  const counts =
    cores < requiredCores ? ` Rows count on ${requiredCores} cores: here none counts.` : "";
  return (
    `${at.slice(0, 10)}, ${cores} cores (${processor}), ${kernel}, load average ${load.toFixed(2)} before. ` +
    `Medians of ${runs} ${runs === 1 ? "run" : "runs"}, ` +
    `${tablePrefixes.toLocaleString("en")} prefixes in the full table.${counts}\n\n${names}.`
  );
}

function timeTable(results: Results): string {
  const others = othersOf(results);
  const has = (daemon: string) => results.targets.some((target) => target.daemon === daemon);
  const names = ["floor", ...others, "tortie"].filter(has);
  const lines = results.rows.map((row) => [
    `${titleOf(results, row)}, ${row.unit}`,
    ...names.map((name) => cellText(bestOf(results, row, [name])?.cell, results.runs)),
    limitText(row),
    verdictText(results, row),
  ]);
  return markdown(["work", ...names, "tortie must reach", "tortie is"], lines);
}

/** Each configuration of the daemons that have several. */
function configurationTable(results: Results): string | undefined {
  const several = results.targets.filter(({ daemon, name }) =>
    results.targets.some((other) => other.daemon === daemon && other.name !== name),
  );
  if (several.length === 0) return undefined;
  const names = several.map(({ name }) => name);
  const lines = results.rows.map((row) => [
    `${titleOf(results, row)}, ${row.unit}`,
    ...names.map((name) => cellText(cellOf(results, row, name), results.runs)),
  ]);
  return markdown(["configurations, of which the best counts", ...names], lines);
}

/** Says more than time where other work shares the machine. */
function processorTable(results: Results): string {
  const names = results.targets.map(({ name }) => name);
  const lines = results.rows.map((row) => [
    titleOf(results, row),
    ...names.map((name) => {
      const value = processorTimeOf(results, row, name);
      return value === undefined ? "-" : number(value);
    }),
  ]);
  return markdown(["processor time of all threads, ms", ...names], lines);
}

function cellText(cell: Cell | undefined, runs: number): string {
  if (cell === undefined) return "-";
  const { values, limitMs, error } = cell;
  if (values.length === 0) {
    if (limitMs !== undefined) return `> ${number(limitMs)}`;
    return error === undefined ? "-" : "none";
  }
  const text = values.map(number).join(" / ");
  return cell.runs < runs ? `${text} (${cell.runs} of ${runs} runs)` : text;
}

function titleOf({ tablePrefixes }: Results, { title }: Row): string {
  return title.replace("1,000,000", tablePrefixes.toLocaleString("en"));
}

function limitText({ limit }: Row): string {
  return `<= ${limit.factor} x ${limit.of === "best" ? "the best other" : limit.of}`;
}

function verdictText(results: Results, row: Row): string {
  const { ratio, reached, reference } = verdictOf(results, row);
  if (ratio === undefined) return "-";
  const text = `${ratio.toFixed(2)} x ${reference}`;
  const word = reached ? "reached" : "**missed**";
  return `${text}: ${word}${results.machine.cores < requiredCores ? " (not counted)" : ""}`;
}

function watched(results: Results, row: Row) {
  const worst = (field: Parameters<typeof worstOf>[2]["field"]) =>
    worstOf(results, row, { field, target: "tortie" });
  return {
    loopBlockMs: worst("loopBlockMs"),
    loopWorkMs: worst("loopWorkMs"),
    silenceMs: worst("silenceMs"),
    losses: worst("losses"),
    loadBusy: worst("loadBusy"),
  };
}

/** What tortie's event loop and its clients' hold timers saw. */
function watchTable(results: Results): string {
  const lines = results.rows.map((row) => {
    const { loopBlockMs, loopWorkMs, silenceMs, losses, loadBusy } = watched(results, row);
    return [
      titleOf(results, row),
      mark(loopBlockMs, longestBlockMs),
      mark(loopWorkMs, longestBlockMs),
      mark(silenceMs, holdMs),
      mark(losses, 0),
      loadBusy === undefined ? "-" : `${(loadBusy * 100).toFixed(0)} %`,
    ];
  });
  const head = [
    "tortie under this load, worst run",
    `longest event-loop block, ms (<= ${longestBlockMs})`,
    "longest work between two timers, ms of processor time",
    `longest silence to a client, ms (<= ${holdMs})`,
    "sessions lost (0)",
    "load generator busy",
  ];
  return markdown(head, lines);
}

function mark(value: number | undefined, limit: number): string {
  if (value === undefined) return "-";
  return value <= limit ? number(value) : `**${number(value)}**`;
}

function number(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString("en");
}

function markdown(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [row(head), row(head.map(() => "---")), ...lines.map(row)].join("\n");
}
