import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { felixConfig } from "../../../../src/felix/config/felix-config.ts";
import { FelixCounters } from "../../../../src/felix/metrics/felix-counters.ts";
import { felixMetrics } from "../../../../src/felix/metrics/felix-metrics.ts";
import { serveFelixMetrics } from "../../../../src/felix/metrics/serve-felix-metrics.ts";
import { createLogger } from "../../../../src/lib/log.ts";
import { makeAuthority, makeCertificate } from "../../../support/certificates.ts";
import { parsePrometheusText } from "../../../support/prometheus-text.ts";

const local = { prometheusMetricsEnabled: true, prometheusMetricsHost: "127.0.0.1" };
const folder = mkdtempSync(join(tmpdir(), "tortie-metrics-"));
after(() => rmSync(folder, { recursive: true }));

/** Serves on a free port while `use` runs; undefined: nobody listens. */
async function serving(
  spec: Readonly<Record<string, unknown>>,
  use: (port: number) => Promise<void>,
): Promise<void> {
  const { metrics } = felixConfig({ global: { prometheusMetricsPort: 0, ...spec }, env: {} });
  const stop = new AbortController();
  const counters = new FelixCounters();
  const log = createLogger({ name: "felix", level: "silent" });
  const collect = () => felixMetrics("node-a", counters, undefined);
  const listening = Promise.withResolvers<number>();
  const service = serveFelixMetrics(metrics, { collect, log }, listening.resolve)(stop.signal);
  try {
    await use(await listening.promise);
  } finally {
    stop.abort();
    await service;
  }
}

async function namesOf(spec: Readonly<Record<string, unknown>>): Promise<readonly string[]> {
  let names: readonly string[] = [];
  await serving(spec, async (port) => {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`);
    names = parsePrometheusText(await response.text()).map(({ name }) => name);
  });
  return names;
}

test("prometheusGoMetricsEnabled and prometheusProcessMetricsEnabled choose what is told", async () => {
  const has = (names: readonly string[], start: string) =>
    names.some((name) => name.startsWith(start));
  const all = await namesOf(local);
  for (const start of ["felix_host", "nodejs_", "process_"]) assert.ok(has(all, start), start);
  const noRuntime = await namesOf({ ...local, prometheusGoMetricsEnabled: false });
  assert.ok(!has(noRuntime, "nodejs_") && has(noRuntime, "process_"));
  const noProcess = await namesOf({ ...local, prometheusProcessMetricsEnabled: false });
  assert.ok(has(noProcess, "nodejs_") && !has(noProcess, "process_"));
});

test("prometheusMetricsEnabled, prometheusMetricsHost and prometheusMetricsPort say where", () => {
  const of = (spec: Readonly<Record<string, unknown>>) => {
    const { enabled, address, port } = felixConfig({ global: spec, env: {} }).metrics;
    return { enabled, address, port };
  };
  assert.deepEqual(of({}), { enabled: false, address: "", port: 9091 });
  assert.deepEqual(of({ ...local, prometheusMetricsPort: 9999 }), {
    enabled: true,
    address: "127.0.0.1",
    port: 9999,
  });
});

test("nobody listens when metrics are off, and a service that cannot listen ends nothing", async () => {
  const stop = new AbortController();
  const lines: string[] = [];
  const log = createLogger({ name: "felix" }, { write: (line) => void lines.push(line) });
  const start = (spec: Readonly<Record<string, unknown>>) => {
    const { metrics } = felixConfig({ global: { ...spec, prometheusMetricsPort: 0 }, env: {} });
    const felix = { collect: () => [], log };
    return serveFelixMetrics(metrics, felix, () => assert.fail("it listens"))(stop.signal);
  };
  const noFile = { ...local, prometheusMetricsCertFile: "/nowhere" };
  const services = [start({}), start(noFile)];
  stop.abort();
  await Promise.all(services);
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /Cannot serve metrics/);
});

interface Identity {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** The status, or "refused". */
function ask(port: number, ca: Buffer, identity?: Identity): Promise<number | string> {
  return new Promise((resolve) => {
    const options = { host: "127.0.0.1", port, path: "/metrics", ca, agent: false, ...identity };
    const asked = request(options, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asked.on("error", () => resolve("refused"));
    asked.end();
  });
}

test("prometheusMetricsCertFile, KeyFile, CAFile and ClientAuth: who may ask", async () => {
  const [ca, other] = [makeAuthority(folder, "ca"), makeAuthority(folder, "other")];
  const server = makeCertificate(folder, "server", ca);
  const identity = (name: string, authority: string): Identity => {
    const { certificate, key } = makeCertificate(folder, name, authority);
    return { cert: readFileSync(certificate), key: readFileSync(key) };
  };
  const [known, stranger] = [identity("known", ca), identity("stranger", other)];
  const tls = {
    ...local,
    prometheusMetricsCertFile: server.certificate,
    prometheusMetricsKeyFile: server.key,
    prometheusMetricsCAFile: ca,
  };
  const rows: readonly (readonly [
    auth: string,
    none: unknown,
    known: unknown,
    stranger: unknown,
  ])[] = [
    ["NoClientCert", 200, 200, 200],
    ["RequireAnyClientCert", 403, 200, 200],
    ["VerifyClientCertIfGiven", 200, 200, 403],
    ["RequireAndVerifyClientCert", "refused", 200, "refused"],
  ];
  const trusted = readFileSync(ca);
  for (const [prometheusMetricsClientAuth, ...expected] of rows) {
    await serving({ ...tls, prometheusMetricsClientAuth }, async (port) => {
      const answers = [
        await ask(port, trusted),
        await ask(port, trusted, known),
        await ask(port, trusted, stranger),
      ];
      assert.deepEqual(answers, expected, prometheusMetricsClientAuth);
    });
  }
});
