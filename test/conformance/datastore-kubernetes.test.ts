import assert from "node:assert/strict";
import { after, test } from "node:test";
import { isDatastoreError } from "../../src/datastore/datastore.ts";
import {
  type KubernetesConfig,
  openKubernetesDatastore,
} from "../../src/datastore/kubernetes/kubernetes-datastore.ts";
import { findKubeApiServer, KubeApiServer } from "../support/kube-apiserver.ts";
import { datastoreSuite } from "./datastore.suite.ts";

const found = findKubeApiServer();
if ("missing" in found) test("kubernetes", { skip: found.missing }, () => undefined);
else await withServer(await KubeApiServer.start(found.path));

async function withServer(server: KubeApiServer): Promise<void> {
  after(() => server.remove());
  await server.installCrds("crd.projectcalico.org");
  await server.createNamespaces("a", "b", "w", "many");
  const config = (user: "admin" | "nobody" = "admin"): KubernetesConfig => ({
    access: { kubeconfig: server.kubeconfig(user) },
    apiGroup: "crd.projectcalico.org/v1",
  });

  datastoreSuite({
    name: "kubernetes",
    open: () => openKubernetesDatastore(config()),
    // What a server remembers of changes is gone with it, and etcd's memory by compaction.
    compact: async (revision) => {
      await server.etcd.compact(revision);
      await server.stop();
      await server.start();
    },
    ordersKinds: false,
  });

  test("kubernetes: who may nothing is told which verb of which resource he lacks", async () => {
    const datastore = await openKubernetesDatastore(config("nobody"));
    await assert.rejects(datastore.list("IPPool"), (error) => {
      assert.ok(isDatastoreError(error, "forbidden"));
      assert.match(String(error), /may not "list" ippools\.crd\.projectcalico\.org/);
      return true;
    });
    await datastore.close();
  });
}
