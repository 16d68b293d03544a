import { errorMessage } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { type MetricsServerConfig, serveMetrics } from "../../lib/metrics.ts";
import { ProcessMetrics } from "../../lib/process-metrics.ts";
import { aborted, type Service } from "../../lib/service.ts";
import { speakerMetrics } from "./metrics.ts";
import type { RunningSpeaker } from "./run-speaker.ts";

/** What the speaker and its process tell Prometheus. That nobody can ask there is only logged. */
export function serveSpeakerMetrics(
  config: MetricsServerConfig,
  { running, log }: { readonly running: RunningSpeaker; readonly log: Logger },
  onListening?: (port: number) => void,
): Service {
  return async (signal) => {
    const own = new ProcessMetrics();
    const collect = () => [...speakerMetrics(running), ...own.collect()];
    try {
      await serveMetrics(config, collect, onListening)(signal);
    } catch (error) {
      log.error({ ...config, reason: errorMessage(error) }, "Cannot serve metrics");
      await aborted(signal);
    } finally {
      own.close();
    }
  };
}
