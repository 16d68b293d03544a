import type { LoadLine } from "./load/main.ts";
import type { BenchOptions } from "./options.ts";
import type { Row } from "./rows.ts";
import { runScenario } from "./run-scenario.ts";
import { allTargets } from "./targets/all-targets.ts";
import type { Target } from "./targets/target.ts";
import { makeTopology } from "./topology.ts";

export interface Results {
  readonly rows: readonly Row[];
  readonly targets: readonly { readonly name: string; readonly version: string }[];
  readonly runs: number;
  readonly tablePrefixes: number;
  /** Of row and target, one line each run. */
  readonly lines: ReadonlyMap<string, readonly LoadLine[]>;
}

/** A target that needs longer is not asked again: its median is of one run, and it is far away. */
const tooSlowMs = 20_000;

export function cellKey(row: string, target: string): string {
  return `${row} ${target}`;
}

/** Runs all targets of a scenario one after the other, then again: what the machine does meets all. */
export async function runBench(options: BenchOptions): Promise<Results> {
  const targets = chosenTargets(options);
  const lines = new Map<string, LoadLine[]>();
  const topology = makeTopology();
  process.once("SIGINT", () => {
    topology.remove();
    process.exit(130);
  });
  try {
    for (const [scenario, rows] of scenariosOf(options.rows)) {
      for (let run = 1; run <= options.runs; run++) {
        for (const target of targets) {
          const left = rows.filter((row) => isWorthRunning(lines.get(cellKey(row, target.name))));
          if (left.length === 0) continue;
          for (const line of await runScenario(scenario, left, { target, topology, options })) {
            const key = cellKey(line.row, target.name);
            lines.set(key, [...(lines.get(key) ?? []), line]);
            console.log(`run ${run} ${target.name.padEnd(10)} ${wordsOf(line)}`);
          }
        }
      }
    }
  } finally {
    topology.remove();
  }
  const { rows, runs, tablePrefixes } = options;
  const named = targets.map(({ name, version }) => ({ name, version: version() }));
  return { rows, targets: named, runs, tablePrefixes, lines };
}

function chosenTargets({ targets: names, nodeArgs }: BenchOptions): Target[] {
  const all = allTargets(nodeArgs);
  const unknown = names.find((name) => !all.some((target) => target.name.toLowerCase() === name));
  if (unknown !== undefined)
    throw new Error(`Cannot run target "${unknown}": there is no such target`);
  return all.filter((target) => {
    if (names.length > 0 && !names.includes(target.name.toLowerCase())) return false;
    const missing = target.missing();
    if (missing !== undefined) console.log(`${target.name}: left out, ${missing}`);
    return missing === undefined;
  });
}

function scenariosOf(rows: readonly Row[]): Map<string, string[]> {
  const scenarios = new Map<string, string[]>();
  for (const { id, scenario } of rows) {
    scenarios.set(scenario, [...(scenarios.get(scenario) ?? []), id]);
  }
  return scenarios;
}

function isWorthRunning(lines: readonly LoadLine[] = []): boolean {
  return !lines.some(({ error, ms = 0 }) => error !== undefined || ms > tooSlowMs);
}

function wordsOf({ row, error, ...values }: LoadLine): string {
  if (error !== undefined) return `${row}: ${error}`;
  const words = Object.entries(values).map(([name, value]) => `${name} ${value.toFixed(2)}`);
  return `${row}: ${words.join(", ")}`;
}
