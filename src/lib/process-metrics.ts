import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Metric } from "./metrics.ts";

const resolutionMs = 10;

/** What this process uses, by the names that clients of Prometheus have for it. */
export class ProcessMetrics {
  /** Time between ticks of its timer, in nanoseconds. */
  readonly #delay = monitorEventLoopDelay({ resolution: resolutionMs });
  readonly #startSeconds = Math.round(Date.now() / 1000 - process.uptime());

  constructor() {
    this.#delay.enable();
  }

  /** Delays of the event loop are those since the last time. */
  collect(): readonly Metric[] {
    const lag = (nanoseconds: number) =>
      Math.max(0, (Number.isFinite(nanoseconds) ? nanoseconds : 0) / 1e9 - resolutionMs / 1000);
    const { max, mean } = this.#delay;
    const p99 = this.#delay.percentile(99);
    this.#delay.reset();
    const { user, system } = process.cpuUsage();
    return [
      gauge("nodejs_eventloop_lag_max_seconds", "Longest block of the event loop.", lag(max)),
      gauge("nodejs_eventloop_lag_mean_seconds", "Mean delay of the event loop.", lag(mean)),
      gauge("nodejs_eventloop_lag_p99_seconds", "99th percentile of delays.", lag(p99)),
      gauge("process_resident_memory_bytes", "Resident memory.", process.memoryUsage.rss()),
      gauge("process_start_time_seconds", "Start since the epoch.", this.#startSeconds),
      {
        name: "process_cpu_seconds_total",
        help: "Processor time, user and system.",
        type: "counter",
        samples: [{ value: (user + system) / 1e6 }],
      },
    ];
  }

  close(): void {
    this.#delay.disable();
  }
}

function gauge(name: string, help: string, value: number): Metric {
  return { name, help, type: "gauge", samples: [{ value }] };
}
