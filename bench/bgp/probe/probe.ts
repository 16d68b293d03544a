import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { isMainThread } from "node:worker_threads";
import type { Work } from "./profile-text.ts";

/**
 * Loaded into tortie before its own program (`node --import`), so that the product has no part that
 * only measurements need. At SIGUSR2 it reads what is asked from the file that TORTIE_BENCH_PROBE
 * names plus ".ask"; the answer to "end" is in the file itself.
 */
export interface ProbeAsk {
  readonly phase: "begin" | "end";
  readonly row: string;
}

/** Of the event loop between "begin" and "end". */
export interface ProbeAnswer {
  readonly longestBlockMs: number;
  /** Most processor time of its thread between two timers: what no other work on the machine adds to. */
  readonly longestWorkMs: number;
}

const resolutionMs = 1;
const nothing: Work = { workMs: 0, fromUs: 0, toUs: 0 };

if (isMainThread) await start(process.env["TORTIE_BENCH_PROBE"] ?? "");

async function start(file: string): Promise<void> {
  const profileFolder = process.env["TORTIE_BENCH_PROFILE"];
  const profiler =
    profileFolder === undefined
      ? undefined
      : (await import("./profiler.ts")).startProfiler(profileFolder);
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  delay.enable();
  let longest = nothing;
  let before = tick();
  setInterval(() => {
    const now = tick();
    const workMs = now.workMs - before.workMs;
    if (workMs > longest.workMs) longest = { workMs, fromUs: before.atUs, toUs: now.atUs };
    before = now;
  }, resolutionMs).unref();
  const answer = () => {
    // The histogram holds the time between ticks of its timer, so an idle loop shows the resolution.
    const longestBlockMs = Math.max(0, delay.max / 1e6 - resolutionMs);
    const { workMs: longestWorkMs } = longest;
    const text = JSON.stringify({ longestBlockMs, longestWorkMs } satisfies ProbeAnswer);
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  process.on("SIGUSR2", () => {
    const { phase, row } = JSON.parse(readFileSync(`${file}.ask`, "utf8")) as ProbeAsk;
    if (phase === "begin") profiler?.begin();
    else profiler?.end(row, longest);
    answer();
    delay.reset();
    longest = nothing;
    before = tick();
  });
}

function tick(): { readonly workMs: number; readonly atUs: number } {
  const { user, system } = process.threadCpuUsage();
  return { workMs: (user + system) / 1000, atUs: Number(process.hrtime.bigint() / 1000n) };
}
