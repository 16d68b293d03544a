import { mkdirSync, writeFileSync } from "node:fs";
import { Session } from "node:inspector";
import { join } from "node:path";
import {
  constants,
  type NodeGCPerformanceDetail,
  type PerformanceEntry,
  PerformanceObserver,
} from "node:perf_hooks";
import { type CpuProfile, type GcPause, profileText, type Work } from "./profile-text.ts";

const samplingMicroseconds = 200;

/** CPU profiles of single rows: ROW.cpuprofile (for a browser's tools) and ROW.txt. */
export interface RowProfiler {
  begin(): void;
  end(row: string, longest: Work): void;
}

const gcKinds: Readonly<Record<number, string>> = {
  [constants.NODE_PERFORMANCE_GC_MAJOR]: "major GC",
  [constants.NODE_PERFORMANCE_GC_MINOR]: "minor GC",
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: "incremental GC",
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: "weak callbacks",
};

/** The types of Node do not tell of `detail`. */
function pauseOf(entry: PerformanceEntry): GcPause {
  const { kind = 0 } = (entry as PerformanceEntry & { readonly detail: NodeGCPerformanceDetail })
    .detail;
  return { kind: gcKinds[kind] ?? `GC kind ${kind}`, ms: entry.duration };
}

export function startProfiler(folder: string): RowProfiler {
  mkdirSync(folder, { recursive: true });
  const session = new Session();
  session.connect();
  session.post("Profiler.enable");
  session.post("Profiler.setSamplingInterval", { interval: samplingMicroseconds });
  let pauses: GcPause[] = [];
  const collect = (entries: readonly PerformanceEntry[]) => pauses.push(...entries.map(pauseOf));
  const observer = new PerformanceObserver((list) => collect(list.getEntries()));
  observer.observe({ entryTypes: ["gc"] });
  return {
    begin: () => {
      observer.takeRecords();
      pauses = [];
      session.post("Profiler.start");
    },
    end: (row, longest) => {
      collect(observer.takeRecords());
      session.post("Profiler.stop", (error, result) => {
        if (error !== null) throw error;
        const profile = result.profile as CpuProfile;
        writeFileSync(join(folder, `${row}.cpuprofile`), JSON.stringify(profile));
        writeFileSync(join(folder, `${row}.txt`), profileText(row, { profile, pauses, longest }));
      });
    },
  };
}
