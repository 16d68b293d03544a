import { availableParallelism, cpus, loadavg, release } from "node:os";

/** Where a run was made; `load` is the load average of the minute before it. */
export interface Machine {
  readonly cores: number;
  readonly processor: string;
  readonly kernel: string;
  readonly load: number;
  /** ISO 8601. */
  readonly at: string;
}

export function thisMachine(): Machine {
  return {
    cores: availableParallelism(),
    processor: cpus()[0]?.model ?? "unknown processor",
    kernel: `Linux ${release()}`,
    load: loadavg()[0] ?? 0,
    at: new Date().toISOString(),
  };
}
