import { askProbe } from "./ask-probe.ts";
import { LoadClients, NotReached } from "./load-clients.ts";
import { warmUpCounter } from "./prefix-counter.ts";
import { treeProcessorTime, treeRss } from "./process-tree.ts";
import { reflector } from "./reflector.ts";
import type { RowValues, Scenario, ScenarioSpec, ScenarioTools, Work } from "./scenario.ts";
import { table } from "./table.ts";

/**
 * Runs one scenario against a target that listens, in the clients' network namespace.
 *
 * Usage: node load/main.ts JSON (LoadTask). Prints a LoadLine for each row.
 */
export interface LoadTask {
  readonly scenario: ScenarioSpec;
  readonly rows: readonly { readonly id: string; readonly work: Work }[];
  readonly target: string;
  readonly port: number;
  readonly asn: number;
  readonly holdSeconds: number;
  readonly tablePrefixes: number;
  readonly timeoutMs: number;
  readonly targetPid: number;
  /** File of the probe in the target, where it has one. */
  readonly probe?: string;
}

export interface LoadLine extends RowValues {
  readonly row: string;
  /** Share of the time that this process was busy: near 1 it would be the bottleneck. */
  readonly loadBusy?: number;
  /** Processor time of the target, in ms: other work on the machine hardly changes it. */
  readonly processorMs?: number;
  /** Longest time that a client heard nothing, in ms. */
  readonly silenceMs?: number;
  /** Sessions that the target ended. */
  readonly losses?: number;
  /** Longest block of the target's event loop, in ms. */
  readonly loopBlockMs?: number;
  /** Most processor time of the target's main thread between two of its timers, in ms. */
  readonly loopWorkMs?: number;
  /** The row did not end in this time. */
  readonly limitMs?: number;
  /** Why the row has no value. */
  readonly error?: string;
}

const task = JSON.parse(process.argv[2] ?? "{}") as LoadTask;
const establishMs = 60_000;
const missing = new Set(task.rows.map(({ id }) => id));

await main();
process.exit(0);

async function main(): Promise<void> {
  const scenario = scenarioOf(task.scenario);
  const clients = new LoadClients({ ...task, ...scenario });
  const { timeoutMs, targetPid, rows } = task;
  let current = "";
  const measure: ScenarioTools["measure"] = async (work, run) => {
    current = rows.find((row) => row.work === work)?.id ?? "";
    const watched = current === "" ? undefined : await startWatch(clients, current);
    const values = await run();
    if (watched !== undefined) print({ row: current, ...values, ...(await watched()) });
  };
  warmUpCounter();
  try {
    await within(establishMs, clients.start(), "sessions are not Established");
    await clients.quiet();
    await scenario.run(clients, {
      wants: (work) => rows.some((row) => row.work === work),
      measure,
      timeoutMs,
      targetRss: () => treeRss(targetPid),
    });
  } catch (error) {
    fail(current, error as Error, clients);
  }
}

function scenarioOf(spec: ScenarioSpec): Scenario {
  return spec.kind === "reflector"
    ? reflector(spec.clients, spec.each)
    : table(spec.receivers, task.tablePrefixes);
}

/** What failed has no value, and neither has what would have come after it. */
function fail(current: string, error: Error, clients: LoadClients): void {
  const words = clients.sessions.find(({ lastNotification }) => lastNotification !== "");
  const detail = words === undefined ? "" : ` (${words.lastNotification})`;
  const limit = error instanceof NotReached ? { limitMs: task.timeoutMs } : {};
  if (missing.has(current)) print({ row: current, ...limit, error: `${error.message}${detail}` });
  for (const row of missing) print({ row, error: `not begun: ${error.message}${detail}` });
}

function print(line: LoadLine): void {
  if (missing.delete(line.row)) process.stdout.write(`${JSON.stringify(line)}\n`);
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
async function startWatch(
  clients: LoadClients,
  row: string,
): Promise<() => Promise<Omit<LoadLine, "row">>> {
  const { probe: file, targetPid: pid } = task;
  if (file !== undefined) await askProbe({ file, pid }, { phase: "begin", row });
  const before = performance.eventLoopUtilization();
  const losses = lossesOf(clients);
  const processor = treeProcessorTime(pid);
  for (const session of clients.sessions) session.longestSilenceMs = 0;
  return async () => {
    const loadBusy = performance.eventLoopUtilization(before).utilization;
    const processorMs = treeProcessorTime(pid) - processor;
    const now = performance.now();
    for (const session of clients.sessions) session.checkSilence(now);
    const silenceMs = Math.max(...clients.sessions.map((session) => session.longestSilenceMs));
    const seen = { loadBusy, processorMs, silenceMs, losses: lossesOf(clients) - losses };
    if (file === undefined) return seen;
    const { longestBlockMs, longestWorkMs } = await askProbe({ file, pid }, { phase: "end", row });
    return { ...seen, loopBlockMs: longestBlockMs, loopWorkMs: longestWorkMs };
  };
}

function lossesOf({ sessions }: LoadClients): number {
  return sessions.reduce((sum, session) => sum + session.losses, 0);
}
