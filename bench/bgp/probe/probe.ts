import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { isMainThread } from "node:worker_threads";

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

if (isMainThread) await start(process.env["TORTIE_BENCH_PROBE"] ?? "");

async function start(file: string): Promise<void> {
  const profileFolder = process.env["TORTIE_BENCH_PROFILE"];
  const profiler =
    profileFolder === undefined
      ? undefined
      : (await import("./profiler.ts")).startProfiler(profileFolder);
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  delay.enable();
  let longestWorkMs = 0;
  let before = threadTimeMs();
  setInterval(() => {
    const now = threadTimeMs();
    longestWorkMs = Math.max(longestWorkMs, now - before);
    before = now;
  }, resolutionMs).unref();
  const answer = () => {
    // The histogram holds the time between ticks of its timer, so an idle loop shows the resolution.
    const longestBlockMs = Math.max(0, delay.max / 1e6 - resolutionMs);
    const text = JSON.stringify({ longestBlockMs, longestWorkMs } satisfies ProbeAnswer);
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  process.on("SIGUSR2", () => {
    const { phase, row } = JSON.parse(readFileSync(`${file}.ask`, "utf8")) as ProbeAsk;
    if (phase === "begin") profiler?.begin();
    else profiler?.end(row);
    answer();
    delay.reset();
    longestWorkMs = 0;
    before = threadTimeMs();
  });
}

function threadTimeMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
