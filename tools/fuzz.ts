import { parseArgs } from "node:util";
import { FuzzRun } from "./fuzz/fuzz.ts";
import { fuzzTargets } from "./fuzz/targets.ts";

/**
 * Fuzzes every decoder: it must never throw, and encoding what it gives must be stable. Prints the
 * number of inputs of each target, and the first input that failed.
 *
 * Usage: node tools/fuzz.ts [--seconds N] [--target NAME] [--seed N] [--input HEX] [--list]
 *   --seconds N    how long in all, shared by the targets (default 60)
 *   --target NAME  this target, or all whose name starts with "NAME/"
 *   --seed N       gives the same inputs again (default: another one each time)
 *   --input HEX    only this input, with --target
 */
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    target: { type: "string" },
    seed: { type: "string", default: String(Math.floor(performance.timeOrigin)) },
    input: { type: "string" },
    list: { type: "boolean", default: false },
  },
});

const { target: wanted } = values;
const targets = fuzzTargets.filter(
  ({ name }) => wanted === undefined || name === wanted || name.startsWith(`${wanted}/`),
);
if (targets.length === 0) {
  console.error(`There is no target "${wanted}": see --list`);
  process.exit(2);
}
if (values.list) for (const { name } of targets) console.log(name);
else if (values.input !== undefined) runOne(values.input);
else runAll(Number(values.seconds), Number(values.seed));

function runOne(hex: string): void {
  for (const target of targets) console.log(target.run(Buffer.from(hex, "hex")));
}

function runAll(seconds: number, seed: number): void {
  const runs = targets.map((target) => new FuzzRun(target, seed));
  const end = performance.now() + seconds * 1000;
  // In turns, so that a short run reaches every target.
  const sliceMs = Math.min(500, (seconds * 1000) / runs.length);
  while (performance.now() < end) {
    for (const run of runs) {
      const sliceEnd = Math.min(end, performance.now() + sliceMs);
      while (run.failure === undefined && performance.now() < sliceEnd) run.step();
    }
    if (runs.every(({ failure }) => failure !== undefined)) break;
  }
  report(runs, seed);
}

function report(runs: readonly FuzzRun[], seed: number): void {
  let total = 0;
  for (const { target, count, outcomes, failure } of runs) {
    total += count;
    console.log(`${target.name}: ${count} inputs, ${outcomes} outcomes`);
    if (failure === undefined) continue;
    process.exitCode = 1;
    console.log(
      `  FAIL --target ${target.name} --input ${Buffer.from(failure.input).toString("hex")}`,
    );
    console.log(
      `  ${failure.error instanceof Error ? failure.error.stack : String(failure.error)}`,
    );
  }
  const failed = runs.filter(({ failure }) => failure !== undefined).length;
  console.log(`${total} inputs to ${runs.length} targets, ${failed} failed (seed ${seed})`);
}
