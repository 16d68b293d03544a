import { type Datastore, unlessAbsent } from "../datastore/datastore.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { type Metric, serveMetrics } from "../lib/metrics.ts";
import { ProcessMetrics } from "../lib/process-metrics.ts";
import { aborted, type Service } from "../lib/service.ts";

export interface ControllersMetricsPorts {
  readonly datastore: Pick<Datastore, "get">;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Of Calico's kube-controllers (facts 2.8). */
export const defaultMetricsPort = 9094;
const lookMs = 30_000;

/**
 * Answers Prometheus on all addresses, at the port that KubeControllersConfiguration has; 0: nowhere. Another port acts
 * within half a minute. That nobody can ask there is only logged.
 */
export function serveControllersMetrics(
  collect: () => readonly Metric[],
  /** Where the configuration says nothing. */
  defaultPort: number,
  ports: ControllersMetricsPorts,
): Service {
  const { clock } = ports;
  return async (signal) => {
    const own = new ProcessMetrics();
    try {
      let port = defaultPort;
      while (!signal.aborted) {
        port = await portOf(port, defaultPort, ports);
        const end = new AbortController();
        const stop = AbortSignal.any([signal, end.signal]);
        const serving = serve(port, () => [...collect(), ...own.collect()], ports.log, stop);
        while (!signal.aborted && (await portOf(port, defaultPort, ports)) === port) {
          await clock.sleep(lookMs, signal).catch(() => undefined);
        }
        end.abort();
        await serving;
      }
    } finally {
      own.close();
    }
  };
}

async function serve(
  port: number,
  collect: () => readonly Metric[],
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  if (port === 0) return await aborted(signal);
  try {
    await serveMetrics({ address: "", port }, collect)(signal);
  } catch (error) {
    log.error({ port, reason: errorMessage(error) }, "Cannot serve metrics");
    await aborted(signal);
  }
}

/** The port, as before where nobody answers. */
async function portOf(
  before: number,
  defaultPort: number,
  { datastore, log }: ControllersMetricsPorts,
): Promise<number> {
  try {
    const key = { kind: "KubeControllersConfiguration", name: "default" } as const;
    const configuration = await unlessAbsent(datastore.get(key));
    return configuration?.spec.prometheusMetricsPort ?? defaultPort;
  } catch (error) {
    log.debug({ reason: errorMessage(error) }, "the port of metrics is not known anew");
    return before;
  }
}
