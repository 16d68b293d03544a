import { type MetricsServerConfig, serveMetrics } from "../../lib/metrics.ts";
import { ProcessMetrics } from "../../lib/process-metrics.ts";
import type { Service } from "../../lib/service.ts";
import { speakerMetrics } from "./metrics.ts";
import type { RunningSpeaker } from "./run-speaker.ts";

/** What the speaker and its process tell Prometheus. */
export function serveSpeakerMetrics(
  config: MetricsServerConfig,
  running: RunningSpeaker,
  onListening?: (port: number) => void,
): Service {
  return async (signal) => {
    const own = new ProcessMetrics();
    const collect = () => [...speakerMetrics(running), ...own.collect()];
    try {
      await serveMetrics(config, collect, onListening)(signal);
    } finally {
      own.close();
    }
  };
}
