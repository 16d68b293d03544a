import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { isDatastoreError } from "../../src/datastore/datastore.ts";
import { openKubernetesDatastore } from "../../src/datastore/kubernetes/kubernetes-datastore.ts";
import type { KubeApiServer } from "../support/kube-apiserver.ts";
import { pool } from "./datastore.suite.ts";
import { configOf, openPatiently } from "./kubernetes-server.ts";

export function kubernetesFaults(server: KubeApiServer): void {
  test("kubernetes: a server that hangs is unavailable: a call after its deadline, a watch too", async () => {
    const patient = await openPatiently(server);
    const hasty = await openKubernetesDatastore(configOf(server), { deadlineMs: 2_000 });
    const watcher = await openKubernetesDatastore(configOf(server), { silenceMs: 1_000 });
    const { revision } = await patient.list("IPPool");
    const watch = watcher.watch(["IPPool"], revision, AbortSignal.timeout(60_000));
    const created = await patient.create<"IPPool">(pool("before", "10.23.0.0/16"));
    const iterator = watch[Symbol.asyncIterator]();
    assert.equal((await iterator.next()).value?.kind, "set");
    const isUnavailable = (error: unknown) => isDatastoreError(error, "unavailable");
    server.freeze();
    try {
      const ended = assert.rejects(async () => {
        while (!(await iterator.next()).done);
      }, isUnavailable);
      await assert.rejects(hasty.list("IPPool"), isUnavailable);
      await assert.rejects(hasty.update<"IPPool">(created), isUnavailable);
      await ended;
    } finally {
      server.thaw();
      await Promise.all([patient, hasty, watcher].map((each) => each.close()));
    }
  });

  test("kubernetes: who may nothing is told which verb of which resource he lacks", async () => {
    const access = { kubeconfig: server.kubeconfig("nobody") };
    const datastore = await openKubernetesDatastore({ ...configOf(server), access });
    const lacks = (verb: string, resource: string) => (error: unknown) => {
      assert.ok(isDatastoreError(error, "forbidden"), String(error));
      assert.match(String(error), new RegExp(`may not "${verb}" ${resource}`));
      return true;
    };
    const pools = "ippools\\.crd\\.projectcalico\\.org";
    await assert.rejects(datastore.list("IPPool"), lacks("list", pools));
    const created = datastore.create<"IPPool">(pool("forbidden", "10.24.0.0/16"));
    await assert.rejects(created, lacks("create", pools));
    const watching = async () => {
      for await (const _ of datastore.watch(["Node"], "1", AbortSignal.timeout(60_000)));
    };
    await assert.rejects(watching, lacks("watch", "nodes"));
    await datastore.close();
  });

  test("kubernetes: a token that was replaced is read again", async () => {
    const good = readFileSync(server.kubeconfig(), "utf8");
    const path = `${server.kubeconfig()}.rotated`;
    writeFileSync(path, good.replace(/"token":"[^"]*"/, '"token":"expired"'), { mode: 0o600 });
    const access = { kubeconfig: path };
    const datastore = await openKubernetesDatastore({ ...configOf(server), access });
    await assert.rejects(datastore.list("IPPool"), (error) => isDatastoreError(error, "forbidden"));
    writeFileSync(path, good);
    await datastore.list("IPPool");
    await datastore.close();
  });

  test("kubernetes: what the API server's schema refuses is an input error that names the field", async () => {
    const datastore = await openKubernetesDatastore(configOf(server));
    const bad = {
      apiVersion: "projectcalico.org/v3",
      kind: "IPAMConfiguration" as const,
      metadata: { name: "default" },
      spec: { ipCooldownSeconds: 5_000 },
    };
    await assert.rejects(datastore.create<"IPAMConfiguration">(bad), (error) => {
      assert.equal((error as Error).name, "InputError");
      assert.match(String(error), /spec\.ipCooldownSeconds/);
      return true;
    });
    await datastore.close();
  });

  test("kubernetes: no server at all is unavailable", async () => {
    const access = { endpoint: "http://127.0.0.1:1" };
    const config = { ...configOf(server), access };
    const datastore = await openKubernetesDatastore(config, { deadlineMs: 500 });
    await assert.rejects(datastore.list("IPPool"), (error) =>
      isDatastoreError(error, "unavailable"),
    );
    await datastore.close();
  });
}
