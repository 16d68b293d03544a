import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { LatestValue } from "../lib/latest-value.ts";
import type { Logger } from "../lib/log.ts";
import type { Service } from "../lib/service.ts";
import { type HealthConfig, type HealthReports, healthServer } from "./health.ts";

const healthRetryMs = 10_000;

interface HealthPorts {
  readonly clock: Clock;
  readonly log: Logger;
}

/** Answers as the latest configuration says: nobody while it is undefined. */
export function answerHealthChecks(
  configs: LatestValue<HealthConfig | undefined>,
  ports: HealthPorts,
  reports: HealthReports,
): Service {
  return async (signal) => {
    while (!signal.aborted) {
      const latest = await configs.next(signal);
      if (latest?.value === undefined) continue;
      const current = AbortSignal.any([signal, latest.outdated]);
      await answerPersistently(latest.value, { ...ports, reports }, current);
    }
  };
}

/** A taken port must not end the node: the answers come when it is free. */
async function answerPersistently(
  config: HealthConfig,
  { clock, log, reports }: HealthPorts & { readonly reports: HealthReports },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await healthServer(config, reports)(signal);
    } catch (error) {
      log.error({ ...config, err: errorMessage(error) }, "cannot answer health checks");
      await clock.sleep(healthRetryMs, signal).catch(() => undefined);
    }
  }
}
