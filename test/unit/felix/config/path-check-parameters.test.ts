import assert from "node:assert/strict";
import { test } from "node:test";
import { felixConfig } from "../../../../src/felix/config/felix-config.ts";

test("path checks are off, and asked for alone, unless somebody says otherwise", () => {
  const { tunnels, ...pathChecks } = felixConfig({ env: {} }).pathChecks;
  const names = tunnels.map(({ name }) => name);
  assert.ok(names.includes("vxlan.calico") && names.includes("wireguard.cali"));
  assert.deepEqual(pathChecks, { enabled: false, port: 5474, intervalMs: 0, samplePeers: 8 });
});

test("path checks are as FelixConfiguration and the environment say", () => {
  const { tunnels, ...pathChecks } = felixConfig({
    global: { pathChecks: "Enabled", pathCheckInterval: "10m", pathCheckPeers: 3 },
    env: { FELIX_PATHCHECKPORT: "7000", FELIX_WIREGUARDLISTENINGPORT: "51000" },
  }).pathChecks;
  assert.deepEqual(tunnels.find(({ name }) => name === "wireguard.cali")?.port, 51_000);
  assert.deepEqual(pathChecks, {
    enabled: true,
    port: 7000,
    intervalMs: 600_000,
    samplePeers: 3,
  });
});
