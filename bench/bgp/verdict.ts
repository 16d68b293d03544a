import type { LoadLine } from "./load/main.ts";
import { cellKey, type Results } from "./results.ts";
import type { Row } from "./rows.ts";

/** Medians of one target in one row; no values when no run had one. */
export interface Cell {
  /** A time, p50 and p99, or megabytes. */
  readonly values: readonly number[];
  readonly runs: number;
  /** The row did not end in this time. */
  readonly limitMs?: number;
  readonly error?: string;
}

/** tortie's medians beside the limit of the row; `{}` when it or all others have no value. */
export type Verdict = Partial<{
  /** To the target that the limit means; of p50 and p99 the worse one. */
  readonly ratio: number;
  readonly reached: boolean;
  readonly reference: string;
}>;

/** What was seen beside the times, over all runs of a row. */
export type Watched = "silenceMs" | "losses" | "loopBlockMs" | "loopWorkMs" | "loadBusy";

const measures = ["ms", "p50", "p99", "mb"] as const;
const notDaemons = new Set(["floor", "tortie"]);

export function cellOf(results: Results, row: Row, target: string): Cell {
  const lines = results.lines.get(cellKey(row.id, target)) ?? [];
  const good = lines.filter(({ error }) => error === undefined);
  const present = measures.filter((measure) => good[0]?.[measure] !== undefined);
  const bad = lines.find(({ error }) => error !== undefined);
  return {
    values: present.map((measure) => median(good.map((line) => line[measure] ?? Number.NaN))),
    runs: good.length,
    ...(bad?.error === undefined ? {} : { error: bad.error }),
    ...(bad?.limitMs === undefined ? {} : { limitMs: bad.limitMs }),
  };
}

/** Daemons other than tortie, in the order of the targets. */
export function othersOf({ targets }: Results): string[] {
  return [...new Set(targets.map(({ daemon }) => daemon))].filter((name) => !notDaemons.has(name));
}

/** The configuration of a daemon with the least value; the first when none has one. */
export function bestOf(
  results: Results,
  row: Row,
  daemons: readonly string[],
): { readonly target: string; readonly cell: Cell } | undefined {
  const cells = results.targets
    .filter(({ daemon }) => daemons.includes(daemon))
    .map(({ name }) => ({ target: name, cell: cellOf(results, row, name) }));
  const first = ({ cell }: { readonly cell: Cell }) => cell.values[0] ?? Number.POSITIVE_INFINITY;
  return cells.toSorted((a, b) => (first(a) < first(b) ? -1 : Number(first(a) > first(b))))[0];
}

export function verdictOf(results: Results, row: Row): Verdict {
  const own = cellOf(results, row, "tortie").values;
  const best = bestOf(results, row, row.limit.of === "best" ? othersOf(results) : [row.limit.of]);
  if (best === undefined || best.cell.values.length === 0 || own.length === 0) return {};
  const ratios = own.map((value, i) => value / (best.cell.values[i] ?? Number.NaN));
  const ratio = Math.max(...ratios);
  return { ratio, reached: ratio <= row.limit.factor, reference: best.target };
}

/** Median of a target's processor time in ms; undefined when no run has it. */
export function processorTimeOf(results: Results, row: Row, target: string): number | undefined {
  const lines = results.lines.get(cellKey(row.id, target)) ?? [];
  const values = lines.map(({ processorMs }) => processorMs).filter((value) => value !== undefined);
  return values.length === 0 ? undefined : median(values);
}

/** The worst of all runs; undefined when no run saw it. */
export function worstOf(
  results: Results,
  row: Row,
  { field, target }: { readonly field: Watched; readonly target: string },
): number | undefined {
  const lines: readonly LoadLine[] = results.lines.get(cellKey(row.id, target)) ?? [];
  const values = lines.map((line) => line[field]).filter((value) => value !== undefined);
  return values.length === 0 ? undefined : Math.max(...values);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}
