import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { clientEnvironment } from "../../../src/cli/client-config.ts";

const folder = mkdtempSync(join(tmpdir(), "tt-config-"));
after(() => rmSync(folder, { recursive: true }));

function configFile(spec: object): string {
  const path = join(folder, "calicoctl.cfg");
  const config = { apiVersion: "projectcalico.org/v3", kind: "CalicoAPIConfig", spec };
  writeFileSync(path, JSON.stringify(config));
  return path;
}

test("the cluster of a configuration file is meant, whatever KUBECONFIG says", async () => {
  const path = configFile({ datastoreType: "kubernetes", kubeconfig: "/new", k8sCAFile: "/ca" });
  assert.deepEqual(await clientEnvironment(path, { KUBECONFIG: "/old", HOME: "/root" }), {
    DATASTORE_TYPE: "kubernetes",
    KUBECONFIG: "/new",
    K8S_CA_FILE: "/ca",
    HOME: "/root",
  });
});

test("a field that would be passed over is refused, without its value", async () => {
  const path = configFile({ datastoreType: "kubernetes", k8sAPIToken: "geheim" });
  await assert.rejects(clientEnvironment(path, {}), {
    message: `Cannot read the configuration ${path}: spec.k8sAPIToken is not supported`,
  });
});
