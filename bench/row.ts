import { arch, availableParallelism, cpus, loadavg } from "node:os";

/** One row of the table in docs/bench/NAME.md. */
export interface Row {
  readonly work: string;
  readonly measured: string;
  readonly mustReach: string;
  /** Undefined: nothing must be reached, or it was not measured. */
  readonly reached?: boolean;
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

export async function timesOf(
  count: number,
  work: (index: number) => Promise<unknown>,
): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index++) times.push(await timed(() => work(index)));
  return times;
}

export function ms(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 0)} ms`;
}

/** Runs them one after the other and prints each row as it comes. */
export async function rowsOf(benches: readonly (() => Promise<Row>)[]): Promise<Row[]> {
  const rows: Row[] = [];
  for (const bench of benches) {
    const row = await bench();
    rows.push(row);
    console.log(`${verdict(row).padEnd(8)}${row.work}: ${row.measured} (${row.mustReach})`);
  }
  return rows;
}

/** The rows as a table in Markdown. */
export function tableText(rows: readonly Row[]): string {
  const lines = rows.map(
    (row) => `| ${row.work} | ${row.measured} | ${row.mustReach} | ${verdict(row)} |`,
  );
  return `| work | measured | must reach | |\n|---|---|---|---|\n${lines.join("\n")}`;
}

/** Where a run was made, on one line; the load is that of its last minute. */
export function machineText(): string {
  const cpu = cpus()[0]?.model.trim() ?? arch();
  const load = loadavg()[0]?.toFixed(1);
  return `${availableParallelism()} cores of ${cpu}, Node ${process.versions.node}, load average ${load} at its end`;
}

function verdict({ reached }: Row): string {
  if (reached === undefined) return "-";
  return reached ? "reached" : "missed";
}
