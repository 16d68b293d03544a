import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { calicoApiVersion } from "../../../src/api/meta.ts";
import type { FelixConfiguration } from "../../../src/api/resources/felix-configuration.ts";
import type { FelixConfig } from "../../../src/felix/config/felix-config.ts";
import { createLogger } from "../../../src/lib/log.ts";
import { watchConfig } from "../../../src/wiring/felix-config.ts";
import { FelixLog } from "../../../src/wiring/felix-log.ts";
import { MemoryDatastore } from "../../support/memory-datastore.ts";
import { waitFor } from "../../support/wait-for.ts";

function configuration(name: string, spec: FelixConfiguration["spec"]): FelixConfiguration {
  return { apiVersion: calicoApiVersion, kind: "FelixConfiguration", metadata: { name }, spec };
}

const folder = mkdtempSync(join(tmpdir(), "tortie-felix-"));
after(() => rmSync(folder, { recursive: true }));
const env = { TORTIE_FELIX_CFG: join(folder, "felix.cfg") };

function setUp(...stored: readonly FelixConfiguration[]) {
  const datastore = new MemoryDatastore(stored);
  const lines: string[] = [];
  const log = createLogger({ name: "felix" }, { write: (line) => void lines.push(line) });
  const configs: FelixConfig[] = [];
  const stop = new AbortController();
  const ports = { nodeName: "node-a", env, datastore, log, felixLog: new FelixLog() };
  const running = watchConfig(ports, (config) => configs.push(config))(stop.signal);
  const change = async (name: string, spec: FelixConfiguration["spec"]) => {
    const present = await datastore.get({ kind: "FelixConfiguration", name });
    await datastore.update<"FelixConfiguration">({ ...present, spec });
  };
  return { datastore, lines, log, configs, running, change, end: () => stop.abort() };
}

test("watchConfig() tells the first configuration, and each that makes a difference", async () => {
  const { datastore, configs, running, change, end } = setUp(configuration("default", {}));
  await waitFor(() => configs.length === 1, { what: "the first" });
  await change("default", { bpfEnabled: true });
  await change("default", { interfaceExclude: "/^veth/" });
  await waitFor(() => configs.length === 2, { what: "the second" });
  await datastore.create<"FelixConfiguration">(configuration("node.node-b", { vxlanPort: 4790 }));
  await datastore.create<"FelixConfiguration">(configuration("node.node-a", { vxlanPort: 4791 }));
  await waitFor(() => configs.length === 3, { what: "the third" });
  assert.deepEqual(
    configs.map(({ vxlanPort, excludedInterfaces }) => [vxlanPort, String(excludedInterfaces[0])]),
    [
      [4789, "/^kube-ipvs0$/"],
      [4789, "/^veth/"],
      [4791, "/^veth/"],
    ],
  );
  end();
  await running;
});

test("watchConfig() changes logSeverityScreen where it is, and tells nobody", async () => {
  const { configs, log, running, change, end } = setUp(
    configuration("default", { logSeverityScreen: "Warning" }),
  );
  await waitFor(() => configs.length === 1, { what: "the first" });
  assert.equal(log.level, "warn");
  await change("default", { logSeverityScreen: "Debug" });
  await waitFor(() => log.level === "debug", { what: "the level" });
  assert.equal(configs.length, 1);
  end();
  await running;
});

test("watchConfig() reads the configuration file, over what the datastore says", async (t) => {
  writeFileSync(env.TORTIE_FELIX_CFG, "[global]\nVXLANPort = 4790\n");
  t.after(() => rmSync(env.TORTIE_FELIX_CFG));
  const { configs, running, end } = setUp(configuration("default", { vxlanPort: 1, vxlanVNI: 7 }));
  await waitFor(() => configs.length === 1, { what: "the first" });
  assert.deepEqual([configs[0]?.vxlanPort, configs[0]?.vxlanVni], [4790, 7]);
  end();
  await running;
});

test("watchConfig() passes over a configuration that cannot be used, and says so", async () => {
  const { configs, lines, running, change, end } = setUp(configuration("default", {}));
  await waitFor(() => configs.length === 1, { what: "the first" });
  await change("default", { interfacePrefix: "cali/" });
  await waitFor(() => lines.some((line) => line.includes("interfacePrefix")), { what: "the log" });
  assert.equal(configs.length, 1);
  end();
  await running;
});

test("watchConfig() ends with the error of a first configuration that cannot be used", async () => {
  const { running } = setUp(configuration("default", { interfacePrefix: "cali/" }));
  await assert.rejects(running, /interfacePrefix "cali\/"/);
});
