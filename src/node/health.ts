import { lookup } from "node:dns/promises";
import { createServer, type ServerResponse } from "node:http";
import type { HealthValues } from "../felix/config/values.ts";
import { aborted, type Service } from "../lib/service.ts";

/** What one part of the node says of itself. */
export interface HealthReport {
  /** false: only a restart helps. */
  readonly live: boolean;
  readonly ready: boolean;
  /** Why not; empty when all is well. */
  readonly reason: string;
}

/** Latest report of each part. The node is live, or ready, when every part is. */
export class HealthReports {
  readonly #reports = new Map<string, HealthReport>();
  readonly #sources: (() => Readonly<Record<string, HealthReport>>)[] = [];

  report(part: string, report: HealthReport): void {
    this.#reports.set(part, report);
  }

  /** `source` is asked each time that somebody wants to know. */
  follow(source: () => Readonly<Record<string, HealthReport>>): void {
    this.#sources.push(source);
  }

  summary(question: "liveness" | "readiness"): {
    readonly ok: boolean;
    readonly parts: Readonly<Record<string, HealthReport>>;
  } {
    const field = question === "liveness" ? "live" : "ready";
    const parts = Object.assign(
      Object.fromEntries(this.#reports),
      ...this.#sources.map((source) => source()),
    ) as Record<string, HealthReport>;
    return { ok: Object.values(parts).every((report) => report[field]), parts };
  }
}

export interface HealthConfig {
  readonly host: string;
  readonly port: number;
}

/** Undefined when it is off, as it is unless asked for (facts 4.12). */
export function healthConfig(values: HealthValues): HealthConfig | undefined {
  const { healthEnabled, healthHost: host, healthPort: port } = values;
  return healthEnabled ? { host, port } : undefined;
}

/** Answers /liveness and /readiness: 200, or 503, with the reports as JSON. */
export function healthServer(
  config: HealthConfig,
  reports: HealthReports,
  onListening?: (port: number) => void,
): Service {
  return async (signal) => {
    const server = createServer((request, response) => {
      const path = (request.url ?? "").split("?", 1)[0];
      if (request.method !== "GET" || (path !== "/liveness" && path !== "/readiness")) {
        answer(response, 404, { error: "ask GET /liveness or GET /readiness" });
        return;
      }
      const summary = reports.summary(path === "/liveness" ? "liveness" : "readiness");
      answer(response, summary.ok ? 200 : 503, summary);
    });
    server.maxConnections = 64;
    // As Go listens: "localhost" is 127.0.0.1, also where the hosts file has ::1 for it.
    const { address: host } = await lookup(config.host, { order: "ipv4first" });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(config.port, host, resolve);
    });
    const address = server.address();
    if (typeof address === "object" && address !== null) onListening?.(address.port);
    await aborted(signal);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(`${JSON.stringify(body)}\n`);
}
