import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import { type SimulationResult, simulate } from "./simulation.ts";

/**
 * Simulations of many seeds in worker processes.
 *
 * Usage: node test/unit/ipam/simulation/seeds.ts [FIRST LAST [WORKERS]]
 */
export interface Seeds {
  readonly first: number;
  readonly last: number;
  readonly hosts: number;
  readonly workers: number;
}

/** What became of one seed: its result, or why it failed. */
export type SeedOutcome =
  | { readonly seed: number; readonly result: SimulationResult }
  | { readonly seed: number; readonly failure: string };

interface SeedTask {
  readonly seed: number;
  readonly hosts: number;
}

const program = fileURLToPath(import.meta.url);

/** Runs each seed once; a worker that ends before its answer is a failure of its seed. */
export async function simulateSeeds(
  { first, last, hosts, workers }: Seeds,
  tell: (outcome: SeedOutcome) => void,
): Promise<void> {
  let next = first;
  const work = async () => {
    const worker = fork(program, ["worker"]);
    try {
      while (next <= last) tell(await outcomeOf({ seed: next++, hosts }, worker));
    } finally {
      worker.disconnect();
    }
  };
  await Promise.all(Array.from({ length: workers }, work));
}

function outcomeOf(task: SeedTask, worker: ChildProcess): Promise<SeedOutcome> {
  return new Promise((resolve) => {
    const onMessage = (outcome: SeedOutcome) => finish(outcome);
    const onExit = () => finish({ seed: task.seed, failure: "its process ended" });
    const finish = (outcome: SeedOutcome) => {
      worker.off("message", onMessage).off("exit", onExit);
      resolve(outcome);
    };
    worker.on("message", onMessage).on("exit", onExit);
    worker.send(task);
  });
}

/** Lost calls are many, and most of what an error costs is its stack: only a repetition has stacks. */
async function simulateOne(task: SeedTask): Promise<SeedOutcome> {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return { seed: task.seed, result: await simulate(task) };
  } catch {
    Error.stackTraceLimit = stackTraceLimit;
    return await repeat(task);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

async function repeat(task: SeedTask): Promise<SeedOutcome> {
  try {
    await simulate(task);
    return { seed: task.seed, failure: "it failed, and passed when it was repeated" };
  } catch (error) {
    return { seed: task.seed, failure: inspect(error) };
  }
}

async function main(args: readonly string[]): Promise<void> {
  const [first = 1, last = first, workers = 1] = args.map(Number);
  let failed = 0;
  let done = 0;
  await simulateSeeds({ first, last, hosts: 200, workers }, (outcome) => {
    done++;
    if ("failure" in outcome) {
      failed++;
      console.log(`FAIL seed ${outcome.seed}: ${outcome.failure}`);
    } else if (done % 10 === 0) {
      console.log(`${new Date().toISOString()} ${done} seeds, ${failed} failed`);
    }
  });
  console.log(`${done - failed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

if (import.meta.main) {
  const args = process.argv.slice(2);
  if (args[0] !== "worker") await main(args);
  else
    process.on("message", (task: SeedTask) => simulateOne(task).then((it) => process.send?.(it)));
}
