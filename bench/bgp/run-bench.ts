import { waitForIdle } from "./idle.ts";
import type { LoadLine } from "./load/main.ts";
import type { ScenarioSpec } from "./load/scenario.ts";
import { type Machine, thisMachine } from "./machine.ts";
import type { BenchOptions } from "./options.ts";
import { cellKey, type Results } from "./results.ts";
import type { Row } from "./rows.ts";
import { runScenario } from "./run-scenario.ts";
import { allTargets } from "./targets/all-targets.ts";
import type { Target } from "./targets/target.ts";
import { makeTopology, type Topology } from "./topology.ts";

/** A target that needs longer is not asked again: its median is of one run, and it is far away. */
const tooSlowMs = 20_000;

/**
 * Runs all targets of a scenario one after the other, then again: what the machine does meets all.
 *
 * @throws {Error} when `signal` is aborted; processes and namespaces are gone then.
 */
export async function runBench(
  options: BenchOptions,
  { signal, progress }: { readonly signal: AbortSignal; progress(line: string): void },
): Promise<Results> {
  const machine = thisMachine();
  const targets = chosenTargets(options, progress);
  const topology = makeTopology();
  const end = () => topology.endAll();
  signal.addEventListener("abort", end);
  try {
    const lines = await runAll({ options, targets, topology, signal, progress });
    return resultsOf(options, { machine, targets, lines });
  } finally {
    signal.removeEventListener("abort", end);
    topology.remove();
  }
}

async function runAll(context: {
  readonly options: BenchOptions;
  readonly targets: readonly Target[];
  readonly topology: Topology;
  readonly signal: AbortSignal;
  progress(line: string): void;
}): Promise<ReadonlyMap<string, readonly LoadLine[]>> {
  const { options, targets, topology, signal, progress } = context;
  const lines = new Map<string, LoadLine[]>();
  for (const [scenario, rows] of scenariosOf(options.rows)) {
    for (let run = 1; run <= options.runs; run++) {
      for (const target of targets) {
        const left = rows.filter(({ id }) => isWorthRunning(lines.get(cellKey(id, target.name))));
        if (left.length === 0) continue;
        progress(
          `run ${run}/${options.runs} ${target.name}: ${left.map(({ id }) => id).join(", ")}`,
        );
        if (options.waitMs > 0 && !(await waitForIdle(options.waitMs, signal))) {
          progress("  the machine is busy");
        }
        const measured = await runScenario(scenario, left, {
          target,
          topology,
          options,
          signal,
        });
        signal.throwIfAborted();
        for (const line of measured) {
          const key = cellKey(line.row, target.name);
          lines.set(key, [...(lines.get(key) ?? []), line]);
          progress(`  ${wordsOf(line)}`);
        }
      }
    }
  }
  return lines;
}

function resultsOf(
  { rows, runs, tablePrefixes }: BenchOptions,
  measured: {
    readonly machine: Machine;
    readonly targets: readonly Target[];
    readonly lines: Results["lines"];
  },
): Results {
  const { machine, lines } = measured;
  const targets = measured.targets.map(({ name, daemon = name, version }) => ({
    name,
    daemon,
    version: version(),
  }));
  return { rows, targets, runs, tablePrefixes, machine, lines };
}

function chosenTargets(options: BenchOptions, progress: (line: string) => void): Target[] {
  const { targets: names } = options;
  const all = allTargets(options);
  const unknown = names.find((name) => !all.some((target) => target.name.toLowerCase() === name));
  if (unknown !== undefined) {
    const known = all.map(({ name }) => name.toLowerCase()).join(", ");
    throw new Error(`Cannot run target "${unknown}": there are ${known}`);
  }
  return all.filter((target) => {
    if (names.length > 0 && !names.includes(target.name.toLowerCase())) return false;
    const missing = target.missing();
    if (missing !== undefined) progress(`${target.name}: left out, ${missing}`);
    return missing === undefined;
  });
}

function scenariosOf(rows: readonly Row[]): Map<ScenarioSpec, Row[]> {
  return Map.groupBy(rows, ({ scenario }) => scenario);
}

function isWorthRunning(lines: readonly LoadLine[] = []): boolean {
  return !lines.some(({ error, ms = 0 }) => error !== undefined || ms > tooSlowMs);
}

function wordsOf({ row, error, ...values }: LoadLine): string {
  if (error !== undefined) return `${row}: ${error}`;
  const words = Object.entries(values).map(([name, value]) => `${name} ${value.toFixed(2)}`);
  return `${row}: ${words.join(", ")}`;
}
