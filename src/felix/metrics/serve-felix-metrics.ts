import { readFileSync } from "node:fs";
import { errorMessage } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import {
  type Metric,
  type MetricsServerConfig,
  type MetricsTls,
  serveMetrics,
} from "../../lib/metrics.ts";
import { ProcessMetrics } from "../../lib/process-metrics.ts";
import { aborted, type Service } from "../../lib/service.ts";
import type { MetricsConfig } from "../config/metrics-config.ts";

/**
 * Answers GET /metrics as the configuration says; does nothing when it is off. That nobody can ask
 * there, or that a certificate cannot be read, is only logged: then nothing is told without it.
 */
export function serveFelixMetrics(
  config: MetricsConfig,
  felix: {
    readonly collect: () => readonly Metric[] | Promise<readonly Metric[]>;
    readonly log: Logger;
  },
  onListening?: (port: number) => void,
): Service {
  if (!config.enabled) return aborted;
  return async (signal) => {
    const own = new ProcessMetrics();
    const collect = async () => [
      ...(await felix.collect()),
      ...own
        .collect()
        .filter(({ name }) => (name.startsWith("nodejs_") ? config.runtime : config.process)),
    ];
    try {
      await serveMetrics(serverConfig(config), collect, onListening)(signal);
    } catch (error) {
      const { address, port } = config;
      felix.log.error({ address, port, reason: errorMessage(error) }, "Cannot serve metrics");
      await aborted(signal);
    } finally {
      own.close();
    }
  };
}

function serverConfig({ address, port, tls }: MetricsConfig): MetricsServerConfig {
  if (tls === undefined) return { address, port };
  const { certificateFile, keyFile, authorityFile, client } = tls;
  const pem = (file: string) => readFileSync(file, "utf8");
  const read: MetricsTls = {
    certificate: pem(certificateFile),
    key: pem(keyFile),
    ...(authorityFile === "" ? {} : { authority: pem(authorityFile) }),
    client,
  };
  return { address, port, tls: read };
}
