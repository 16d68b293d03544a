import type { LoadLine } from "./load/main.ts";
import type { Row } from "./rows.ts";
import { cellKey, type Results } from "./run-bench.ts";

/** Medians of one target in one row; empty when no run had a value. */
export interface Cell {
  readonly values: readonly number[];
  readonly runs: number;
  readonly error?: string;
}

/** tortie's medians beside the limit of the row. */
export interface Verdict {
  /** Against the daemon that the limit names; absent when one of the two has no value. */
  readonly ratio?: number;
  readonly reached?: boolean;
  readonly reference?: string;
}

type Measure = "ms" | "p50" | "p99" | "mb";

const measures: readonly Measure[] = ["ms", "p50", "p99", "mb"];

export function cellOf(results: Results, row: Row, target: string): Cell {
  const lines = results.lines.get(cellKey(row.id, target)) ?? [];
  const good = lines.filter(({ error }) => error === undefined);
  const present = measures.filter((measure) => good[0]?.[measure] !== undefined);
  const error = lines.find((line) => line.error !== undefined)?.error;
  return {
    values: present.map((measure) => median(good.map((line) => line[measure] ?? Number.NaN))),
    runs: good.length,
    ...(error === undefined ? {} : { error }),
  };
}

/** Daemons that tortie is compared with; the best configuration of one is that daemon. */
export function othersOf({ targets }: Results): string[] {
  return targets.map(({ name }) => name).filter((name) => name !== "floor" && name !== "tortie");
}

export function verdictOf(results: Results, row: Row): Verdict {
  const own = cellOf(results, row, "tortie").values;
  const candidates = row.limit.of === "best" ? othersOf(results) : [row.limit.of];
  const measured = candidates
    .map((name) => ({ name, values: cellOf(results, row, name).values }))
    .filter(({ values }) => values.length > 0)
    .sort((a, b) => (a.values[0] ?? 0) - (b.values[0] ?? 0));
  const reference = measured[0];
  if (reference === undefined || own.length === 0) return {};
  const ratio = Math.max(...own.map((value, i) => value / (reference.values[i] ?? Number.NaN)));
  return { ratio, reached: ratio <= row.limit.factor, reference: reference.name };
}

/** The worst of what was seen beside the times, over all runs of a row. */
export function worstOf(
  results: Results,
  row: Row,
  field: keyof Pick<LoadLine, "silenceMs" | "losses" | "loopBlockMs" | "loadBusy">,
  target: string,
): number | undefined {
  const lines = results.lines.get(cellKey(row.id, target)) ?? [];
  const values = lines.map((line) => line[field]).filter((value) => value !== undefined);
  return values.length === 0 ? undefined : Math.max(...values);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}
