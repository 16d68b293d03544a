import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { felixConfig } from "../../../../src/felix/config/felix-config.ts";
import {
  type FelixHealth,
  readHealth,
  writeHealth,
} from "../../../../src/felix/health/felix-health.ts";
import { healthService } from "../../../../src/felix/health/health-service.ts";
import { createLogger } from "../../../../src/lib/log.ts";
import { HealthReports } from "../../../../src/node/health.ts";
import { FakeClock } from "../../../support/fake-clock.ts";

const folder = mkdtempSync(join(tmpdir(), "tortie-health-"));
after(() => rmSync(folder, { recursive: true }));

const well: FelixHealth = {
  CalculationGraph: { ready: true, busyMs: 0 },
  InternalDataplaneMainLoop: { ready: true, busyMs: 0 },
};

function healthOf(spec: Readonly<Record<string, unknown>>, health: FelixHealth, silentMs: number) {
  const file = join(folder, "health.json");
  const { health: config } = felixConfig({ global: spec, env: {} });
  writeHealth(file, { pid: 7, health, config }, 1_000_000);
  const reports = new HealthReports();
  reports.follow(() => readHealth(file, 7, 1_000_000 + silentMs));
  return [reports.summary("liveness").ok, reports.summary("readiness").ok];
}

function busy(ms: number): FelixHealth {
  return { ...well, InternalDataplaneMainLoop: { ready: true, busyMs: ms } };
}

test("dataplaneWatchdogTimeout is how long one apply may take", () => {
  assert.deepEqual(healthOf({}, busy(89_000), 1000), [true, true]);
  assert.deepEqual(healthOf({}, busy(90_000), 1000), [false, false]);
  assert.deepEqual(healthOf({ dataplaneWatchdogTimeout: "3m" }, busy(90_000), 1000), [true, true]);
  assert.deepEqual(healthOf({ dataplaneWatchdogTimeout: "0" }, busy(1e9), 1000), [true, true]);
});

test("healthTimeoutOverrides says it for each part", () => {
  const overrides = (name: string, timeout: string) => ({
    healthTimeoutOverrides: [{ name, timeout }],
  });
  const calculating = { ...well, CalculationGraph: { ready: true, busyMs: 40_000 } };
  assert.deepEqual(healthOf({}, calculating, 0), [false, false]);
  assert.deepEqual(healthOf(overrides("CalculationGraph", "1m"), calculating, 0), [true, true]);
  const short = overrides("InternalDataplaneMainLoop", "5s");
  assert.deepEqual(healthOf(short, busy(4000), 500), [true, true]);
  assert.deepEqual(healthOf(short, busy(4000), 1500), [false, false]);
});

test("a felix that writes no more is dead, one that is not ready is alive", () => {
  assert.deepEqual(healthOf({}, well, 29_000), [true, true]);
  assert.deepEqual(healthOf({}, well, 31_000), [false, false]);
  const starting = { ...well, InternalDataplaneMainLoop: { ready: false, busyMs: 0 } };
  assert.deepEqual(healthOf({}, starting, 0), [true, false]);
});

test("a felix that has written nothing lives, and is not ready, whatever another process wrote", () => {
  healthOf({}, well, 0);
  const reason = "felix has not reported yet";
  const silent = { report: { live: true, ready: false, reason } };
  assert.deepEqual(readHealth(join(folder, "health.json"), 8, 2_000_000), silent);
  assert.deepEqual(readHealth(join(folder, "nothing"), 7, 2_000_000), silent);
});

test("healthService() writes again and again, unless health checks are off", async () => {
  const clock = new FakeClock();
  const log = createLogger({ name: "felix", level: "silent" });
  const stop = new AbortController();
  let asked = 0;
  const health = () => {
    asked++;
    return well;
  };
  const file = join(folder, "served");
  const felix = { file, pid: 7, health, clock, log };
  const start = (spec: Readonly<Record<string, unknown>>) =>
    healthService(felixConfig({ global: spec, env: {} }).health, felix)(stop.signal);
  const services = [start({}), start({ healthEnabled: true })];
  await new Promise(setImmediate);
  assert.equal(asked, 1);
  clock.advance(2000);
  await new Promise(setImmediate);
  assert.equal(asked, 2);
  assert.equal(Object.keys(readHealth(file, 7, clock.date().getTime())).length, 2);
  stop.abort();
  await Promise.all(services);
});
