import assert from "node:assert/strict";
import { test } from "node:test";
import { calicoApiVersion } from "../../../src/api/meta.ts";
import type { FelixConfiguration } from "../../../src/api/resources/felix-configuration.ts";
import { felixValues } from "../../../src/node/felix-values.ts";
import { HealthReports, healthConfig, healthServer } from "../../../src/node/health.ts";
import { storedInputs } from "../../../src/node/stored-inputs.ts";
import { MemoryDatastore } from "../../support/memory-datastore.ts";

async function valuesOf(env: Readonly<Record<string, string>>, datastore: MemoryDatastore) {
  const { configurations } = await storedInputs(datastore);
  return await felixValues(env, "node-a", { configurations, datastore });
}

function configuration(name: string, spec: FelixConfiguration["spec"]): FelixConfiguration {
  return { apiVersion: calicoApiVersion, kind: "FelixConfiguration", metadata: { name }, spec };
}

test("healthConfig() is off unless asked for, and on localhost:9099", async () => {
  const datastore = new MemoryDatastore([configuration("default", { healthEnabled: true })]);
  const of = async (env: Readonly<Record<string, string>>) =>
    healthConfig(await valuesOf(env, datastore));
  assert.equal(healthConfig(await valuesOf({}, new MemoryDatastore())), undefined);
  assert.deepEqual(await of({}), { host: "localhost", port: 9099 });
  await datastore.create<"FelixConfiguration">(
    configuration("node.node-a", { healthHost: "::1", healthPort: 9000 }),
  );
  assert.deepEqual(await of({}), { host: "::1", port: 9000 });
  assert.deepEqual(await of({ FELIX_HEALTHPORT: "1" }), { host: "::1", port: 1 });
  assert.equal(await of({ FELIX_HEALTHENABLED: "false" }), undefined);
});

test("what felix cannot use leaves the environment's word on health", async () => {
  const unusable = configuration("default", { healthEnabled: true, interfacePrefix: "cali/" });
  const values = await valuesOf({ FELIX_HEALTHPORT: "1" }, new MemoryDatastore([unusable]));
  assert.deepEqual([values.healthEnabled, values.healthPort], [false, 1]);
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
