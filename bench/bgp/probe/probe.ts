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

export interface ProbeAnswer {
  /** Between "begin" and "end". */
  readonly longestBlockMs: number;
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
  const answer = () => {
    // The histogram holds the time between ticks of its timer, so an idle loop shows the resolution.
    const longestBlockMs = Math.max(0, delay.max / 1e6 - resolutionMs);
    writeFileSync(`${file}.new`, JSON.stringify({ longestBlockMs } satisfies ProbeAnswer));
    renameSync(`${file}.new`, file);
  };
  process.on("SIGUSR2", () => {
    const { phase, row } = JSON.parse(readFileSync(`${file}.ask`, "utf8")) as ProbeAsk;
    if (phase === "begin") profiler?.begin();
    else profiler?.end(row);
    answer();
    delay.reset();
  });
}
