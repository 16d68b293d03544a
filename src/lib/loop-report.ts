import { renameSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

/** What TORTIE_LOOP_REPORT gets: how long the event loop was blocked since the last report. */
export interface LoopReport {
  readonly longestBlockMs: number;
}

const resolutionMs = 1;

/**
 * Measures event-loop blocks when TORTIE_LOOP_REPORT names a file: it is written at SIGUSR2, which
 * begins anew, and at exit. `npm run bench:bgp` reads it.
 */
export function startLoopReport(env: Readonly<Record<string, string | undefined>>): void {
  const file = env["TORTIE_LOOP_REPORT"] ?? "";
  if (file === "") return;
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  delay.enable();
  const report = () => {
    // The histogram holds the time between ticks of its timer, so an idle loop shows the resolution.
    const longestBlockMs = Math.max(0, delay.max / 1e6 - resolutionMs);
    writeFileSync(`${file}.new`, JSON.stringify({ longestBlockMs } satisfies LoopReport));
    renameSync(`${file}.new`, file);
    delay.reset();
  };
  process.on("SIGUSR2", report);
  process.on("exit", report);
}
