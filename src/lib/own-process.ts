import { readFileSync } from "node:fs";

/**
 * A process as it can be told from a later one with the same pid: its start time in clock ticks
 * since boot (proc(5), /proc/PID/stat field 22).
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string;
}

/** Undefined when no such process runs (a zombie counts as none). */
export function processIdentity(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state, startTime] = [fields[0], fields[19]];
    if (state === "Z" || state === "X" || startTime === undefined) return undefined;
    return { pid, startTime };
  } catch {
    return undefined;
  }
}

/** True when exactly this process still runs. */
export function isAlive(process: ProcessIdentity): boolean {
  return processIdentity(process.pid)?.startTime === process.startTime;
}
