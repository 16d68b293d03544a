import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism, release } from "node:os";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { method } from "./method.ts";
import type { Row } from "./rows.ts";
import type { Results } from "./run-bench.ts";
import { cellOf, othersOf, verdictOf, worstOf } from "./verdict.ts";

const document = fileURLToPath(new URL("../../docs/bench/bgp.md", import.meta.url));

/** Cores on which a row counts. */
const requiredCores = 4;
const longestBlockMs = 50;
/** Hold time that tortie's clients propose. */
const holdMs = 9000;

/** The tables of a run, in Markdown: what stdout and the document show. */
export function tables(results: Results): string {
  return `${timeTable(results)}\n\n${loopTable(results)}\n`;
}

export async function writeDocument(results: Results): Promise<void> {
  await mkdir(dirname(document), { recursive: true });
  await writeFile(
    document,
    `${method(results.rows)}\n## Results\n\n${machine(results)}\n\n${tables(results)}`,
  );
}

function machine({ targets, runs, tablePrefixes }: Results): string {
  const versions = targets.map(({ name, version }) => `${name} ${version}`).join(", ");
  const cores = availableParallelism();
  const counts = cores < requiredCores ? ` Fewer than ${requiredCores} cores: no row counts.` : "";
  return (
    `${cores} cores, Linux ${release()}. Medians of ${runs} runs, ` +
    `${tablePrefixes.toLocaleString("en")} prefixes in the full table.${counts}\n\n${versions}.`
  );
}

function timeTable(results: Results): string {
  const others = othersOf(results);
  const names = ["floor", ...others, "tortie"].filter((name) =>
    results.targets.some((target) => target.name === name),
  );
  const lines = results.rows.map((row) => {
    const cells = names.map((name) => cellText(results, row, name));
    return [row.title, row.unit, ...cells, limitText(row), verdictText(results, row)];
  });
  return markdown(["work", "unit", ...names, "tortie must reach", "tortie is"], lines);
}

function cellText(results: Results, row: Row, target: string): string {
  const { values, runs, error } = cellOf(results, row, target);
  if (values.length === 0) return error === undefined ? "-" : "fails";
  const text = values.map(number).join(" / ");
  return runs < results.runs ? `${text} (${runs} run${runs === 1 ? "" : "s"})` : text;
}

function limitText({ limit }: Row): string {
  return `<= ${limit.factor} x ${limit.of === "best" ? "the best" : limit.of}`;
}

function verdictText(results: Results, row: Row): string {
  const { ratio, reached, reference } = verdictOf(results, row);
  if (ratio === undefined) return "-";
  const text = `${ratio.toFixed(2)} x ${reference}`;
  if (availableParallelism() < requiredCores) return `${text}: not counted`;
  return `${text}: ${reached ? "reached" : "**missed**"}`;
}

/** What tortie's event loop and its clients' hold timers saw. */
function loopTable(results: Results): string {
  const lines = results.rows.map((row) => {
    const block = worstOf(results, row, "loopBlockMs", "tortie");
    const silence = worstOf(results, row, "silenceMs", "tortie");
    const losses = worstOf(results, row, "losses", "tortie");
    const busy = worstOf(results, row, "loadBusy", "tortie");
    return [
      row.title,
      mark(block, longestBlockMs),
      mark(silence, holdMs),
      losses === undefined ? "-" : String(losses),
      busy === undefined ? "-" : `${(busy * 100).toFixed(0)} %`,
    ];
  });
  const head = [
    "tortie under this load (worst run)",
    `longest event-loop block, ms (<= ${longestBlockMs})`,
    `longest silence to a client, ms (< ${holdMs})`,
    "sessions lost",
    "load generator busy",
  ];
  return markdown(head, lines);
}

function mark(value: number | undefined, limit: number): string {
  if (value === undefined) return "-";
  return value <= limit ? number(value) : `**${number(value)}**`;
}

function number(value: number): string {
  return value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString("en");
}

function markdown(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [row(head), row(head.map(() => "---")), ...lines.map(row)].join("\n");
}
