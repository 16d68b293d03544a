import { createServer, type ServerResponse } from "node:http";
import { aborted, type Service } from "./service.ts";

/** One metric of Prometheus with a value for each set of labels. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly samples: readonly MetricSample[];
}

export interface MetricSample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The text format, version 0.0.4. A metric without samples is left out. */
export function metricsText(metrics: Iterable<Metric>): string {
  let text = "";
  for (const { name, help, type, samples } of metrics) {
    if (samples.length === 0) continue;
    text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
    for (const { labels = {}, value } of samples) text += `${name}${labelsText(labels)} ${value}\n`;
  }
  return text;
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}="${escaped(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

export interface MetricsServerConfig {
  readonly address: string;
  readonly port: number;
}

/** Answers GET /metrics. Fails when it cannot listen. */
export function serveMetrics(
  { address, port }: MetricsServerConfig,
  collect: () => Iterable<Metric>,
  onListening?: (port: number) => void,
): Service {
  return async (signal) => {
    const server = createServer((request, response) => {
      const path = (request.url ?? "").split("?", 1)[0];
      if (request.method !== "GET" || path !== "/metrics") answer(response, 404, "GET /metrics\n");
      else answer(response, 200, metricsText(collect()));
    });
    server.maxConnections = 64;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, address, resolve);
    });
    const bound = server.address();
    if (typeof bound === "object" && bound !== null) onListening?.(bound.port);
    await aborted(signal);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
}

function answer(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
  response.end(body);
}
