import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { TLSSocket } from "node:tls";
import { errorMessage } from "./errors.ts";
import { aborted, type Service } from "./service.ts";

/** One metric of Prometheus with a value for each set of labels. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  /** A summary without quantiles has samples with the suffixes "_sum" and "_count". */
  readonly type: "counter" | "gauge" | "summary";
  readonly samples: readonly MetricSample[];
}

export interface MetricSample {
  readonly suffix?: "_sum" | "_count";
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The text format, version 0.0.4. A metric without samples is left out. */
export function metricsText(metrics: Iterable<Metric>): string {
  let text = "";
  for (const { name, help, type, samples } of metrics) {
    if (samples.length === 0) continue;
    text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
    for (const { suffix = "", labels = {}, value } of samples) {
      text += `${name}${suffix}${labelsText(labels)} ${value}\n`;
    }
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
  /** "": all addresses of the host. */
  readonly address: string;
  readonly port: number;
  readonly tls?: MetricsTls;
}

/** PEM texts, and what is asked of who asks. */
export interface MetricsTls {
  readonly certificate: string;
  readonly key: string;
  readonly authority?: string;
  readonly client: "none" | "any" | "verified if given" | "verified";
}

/** Answers GET /metrics. Fails when it cannot listen. */
export function serveMetrics(
  { address, port, tls }: MetricsServerConfig,
  collect: () => Iterable<Metric> | Promise<Iterable<Metric>>,
  onListening?: (port: number) => void,
): Service {
  return async (signal) => {
    const server = serverOf(tls, (request, response) => {
      if (tls !== undefined && !isAdmitted(request.socket as TLSSocket, tls)) {
        answer(response, 403, "a client certificate is needed\n");
        return;
      }
      const path = (request.url ?? "").split("?", 1)[0];
      if (request.method !== "GET" || path !== "/metrics") answer(response, 404, "GET /metrics\n");
      else void answerMetrics(response, collect);
    });
    server.maxConnections = 64;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      if (address === "") server.listen(port, resolve);
      else server.listen(port, address, resolve);
    });
    const bound = server.address();
    if (typeof bound === "object" && bound !== null) onListening?.(bound.port);
    await aborted(signal);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
}

function serverOf(tls: MetricsTls | undefined, listener: RequestListener): Server {
  if (tls === undefined) return createServer(listener);
  const { certificate: cert, key, authority: ca, client } = tls;
  const options = {
    cert,
    key,
    ...(ca === undefined ? {} : { ca }),
    requestCert: client !== "none",
    // A wrong one ends the handshake; that there is none is answered below.
    rejectUnauthorized: client === "verified",
  };
  return createTlsServer(options, listener);
}

function isAdmitted(socket: TLSSocket, { client }: MetricsTls): boolean {
  if (client === "none" || client === "verified") return true;
  const given = Object.keys(socket.getPeerCertificate()).length > 0;
  return client === "any" ? given : !given || socket.authorized;
}

async function answerMetrics(
  response: ServerResponse,
  collect: () => Iterable<Metric> | Promise<Iterable<Metric>>,
): Promise<void> {
  try {
    answer(response, 200, metricsText(await collect()));
  } catch (error) {
    answer(response, 500, `${errorMessage(error)}\n`);
  }
}

function answer(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
  response.end(body);
}
