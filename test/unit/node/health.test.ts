import assert from "node:assert/strict";
import { test } from "node:test";
import { HealthReports, healthConfig, healthServer } from "../../../src/node/health.ts";

test("healthConfig() is off unless asked for, and on localhost:9099", () => {
  assert.equal(healthConfig({}), undefined);
  assert.deepEqual(healthConfig({ FELIX_HEALTHENABLED: "true" }), {
    host: "localhost",
    port: 9099,
  });
  const env = { FELIX_HEALTHENABLED: "1", FELIX_HEALTHHOST: "::1", FELIX_HEALTHPORT: "9000" };
  assert.deepEqual(healthConfig(env), { host: "::1", port: 9000 });
  assert.throws(
    () => healthConfig({ FELIX_HEALTHENABLED: "true", FELIX_HEALTHPORT: "99999" }),
    /FELIX_HEALTHPORT "99999"/,
  );
});

test("healthServer() answers 200, or 503 with the reasons", async () => {
  const reports = new HealthReports();
  const stop = new AbortController();
  let served: Promise<void> | undefined;
  const port = await new Promise<number>((resolve) => {
    const server = healthServer({ host: "127.0.0.1", port: 0 }, reports, resolve);
    served = server(stop.signal);
  });
  const base = `http://127.0.0.1:${port}`;
  const ask = async (path: string, method = "GET") => {
    const response = await fetch(`${base}${path}`, { method });
    return [response.status, await response.json()] as const;
  };
  assert.equal((await ask("/readiness"))[0], 200);
  const report = { live: true, ready: false, reason: "start-up is not finished" };
  reports.report("startup", report);
  assert.deepEqual(await ask("/readiness?x"), [503, { ok: false, parts: { startup: report } }]);
  assert.equal((await ask("/liveness"))[0], 200);
  assert.equal((await ask("/"))[0], 404);
  assert.equal((await ask("/liveness", "POST"))[0], 404);
  stop.abort();
  await served;
});
