import { existsSync, readFileSync, rmSync } from "node:fs";
import type { LoopReport } from "../../../src/lib/loop-report.ts";
import { LoadClients } from "./load-clients.ts";
import { warmUpCounter } from "./prefix-counter.ts";
import { treeRss } from "./process-tree.ts";
import { type ScenarioTools, scenarioOf } from "./scenarios.ts";

/**
 * Runs one scenario against a target that listens, in the clients' network namespace.
 *
 * Usage: node load/main.ts JSON (LoadTask). Prints a LoadLine for each row.
 */
export interface LoadTask {
  readonly scenario: string;
  readonly rows: readonly string[];
  readonly target: string;
  readonly port: number;
  readonly asn: number;
  readonly holdSeconds: number;
  readonly tablePrefixes: number;
  readonly timeoutMs: number;
  readonly targetPid: number;
  /** The target writes its longest event-loop block there at each SIGUSR2. */
  readonly loopReport?: string;
}

export interface LoadLine {
  readonly row: string;
  readonly ms?: number;
  readonly p50?: number;
  readonly p99?: number;
  readonly mb?: number;
  /** Share of the time that this process was busy: near 1 it would be the bottleneck. */
  readonly loadBusy?: number;
  /** Longest time that a client heard nothing, in ms. */
  readonly silenceMs?: number;
  readonly losses?: number;
  /** Longest block of the target's event loop, in ms. */
  readonly loopBlockMs?: number;
  readonly error?: string;
}

const task = JSON.parse(process.argv[2] ?? "{}") as LoadTask;
const establishMs = 60_000;

await main();
process.exit(0);

async function main(): Promise<void> {
  const scenario = scenarioOf(task.scenario, task.tablePrefixes);
  if (scenario === undefined) throw new Error(`there is no scenario "${task.scenario}"`);
  const clients = new LoadClients({ ...task, ...scenario });
  const wants = (row: string) => task.rows.includes(row);
  const { timeoutMs, targetPid } = task;
  let current = scenario.rows[0] ?? "";
  const measure: ScenarioTools["measure"] = async (row, work) => {
    current = row;
    const around = await startWatch(clients);
    const values = await work();
    print({ row, ...values, ...(await around()) });
  };
  warmUpCounter();
  try {
    await within(establishMs, clients.start(), "sessions are not Established");
    await clients.quiet();
    await scenario.run(clients, { measure, wants, timeoutMs, targetRss: () => treeRss(targetPid) });
  } catch (error) {
    const words = clients.sessions.find(({ lastNotification }) => lastNotification !== "");
    const detail = words === undefined ? "" : ` (${words.lastNotification})`;
    print({ row: current, error: `${(error as Error).message}${detail}` });
  }
}

function print(line: LoadLine): void {
  if (task.rows.includes(line.row)) process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function within<Value>(ms: number, work: Promise<Value>, what: string): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} after ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Begins what is measured beside the time of a row; the function given ends it. */
async function startWatch(clients: LoadClients): Promise<() => Promise<Omit<LoadLine, "row">>> {
  await askLoopReport();
  const before = performance.eventLoopUtilization();
  const losses = clients.sessions.reduce((sum, session) => sum + session.losses, 0);
  for (const session of clients.sessions) session.longestSilenceMs = 0;
  return async () => {
    const loadBusy = performance.eventLoopUtilization(before).utilization;
    const now = performance.now();
    for (const session of clients.sessions) session.checkSilence(now);
    const loopBlockMs = await askLoopReport();
    return {
      loadBusy,
      silenceMs: Math.max(...clients.sessions.map(({ longestSilenceMs }) => longestSilenceMs)),
      losses: clients.sessions.reduce((sum, session) => sum + session.losses, 0) - losses,
      ...(loopBlockMs === undefined ? {} : { loopBlockMs }),
    };
  };
}

/** The target's longest event-loop block since the last time; undefined when it does not tell. */
async function askLoopReport(): Promise<number | undefined> {
  const { loopReport, targetPid } = task;
  if (loopReport === undefined) return undefined;
  rmSync(loopReport, { force: true });
  process.kill(targetPid, "SIGUSR2");
  for (const end = performance.now() + 2000; performance.now() < end; ) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (!existsSync(loopReport)) continue;
    return (JSON.parse(readFileSync(loopReport, "utf8")) as LoopReport).longestBlockMs;
  }
  return undefined;
}
