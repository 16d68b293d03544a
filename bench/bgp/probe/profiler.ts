import { mkdirSync, writeFileSync } from "node:fs";
import { Session } from "node:inspector";
import { join } from "node:path";
import { PerformanceObserver } from "node:perf_hooks";
import { type CpuProfile, profileText } from "./profile-text.ts";

const samplingMicroseconds = 200;

/** CPU profiles of single rows: ROW.cpuprofile (for a browser's tools) and ROW.txt. */
export interface RowProfiler {
  begin(): void;
  end(row: string): void;
}

export function startProfiler(folder: string): RowProfiler {
  mkdirSync(folder, { recursive: true });
  const session = new Session();
  session.connect();
  session.post("Profiler.enable");
  session.post("Profiler.setSamplingInterval", { interval: samplingMicroseconds });
  let pauses: number[] = [];
  const collect = (entries: readonly { readonly duration: number }[]) =>
    pauses.push(...entries.map(({ duration }) => duration));
  const observer = new PerformanceObserver((list) => collect(list.getEntries()));
  observer.observe({ entryTypes: ["gc"] });
  return {
    begin: () => {
      observer.takeRecords();
      pauses = [];
      session.post("Profiler.start");
    },
    end: (row) => {
      collect(observer.takeRecords());
      session.post("Profiler.stop", (error, result) => {
        if (error !== null) throw error;
        const profile = result.profile as CpuProfile;
        writeFileSync(join(folder, `${row}.cpuprofile`), JSON.stringify(profile));
        writeFileSync(join(folder, `${row}.txt`), profileText(row, profile, pauses));
      });
    },
  };
}
