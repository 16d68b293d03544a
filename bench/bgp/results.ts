import type { LoadLine } from "./load/main.ts";
import type { Machine } from "./machine.ts";
import type { Row } from "./rows.ts";

/** All that a run of the bench measured. */
export interface Results {
  readonly rows: readonly Row[];
  readonly targets: readonly MeasuredTarget[];
  readonly runs: number;
  readonly tablePrefixes: number;
  readonly machine: Machine;
  /** By cellKey, one line each run. */
  readonly lines: ReadonlyMap<string, readonly LoadLine[]>;
}

/** A daemon in one configuration. */
export interface MeasuredTarget {
  readonly name: string;
  /** Configurations of one daemon share a column, where the best counts. */
  readonly daemon: string;
  readonly version: string;
}

export function cellKey(row: string, target: string): string {
  return `${row} ${target}`;
}
