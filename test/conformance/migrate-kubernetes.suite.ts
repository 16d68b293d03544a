import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Kind } from "../../src/api/resource-of-kind.ts";
import { openEmbeddedDatastore } from "../../src/datastore/embedded/embedded-datastore.ts";
import type { KubeApiServer } from "../support/kube-apiserver.ts";
import { sampleCluster } from "../support/sample-cluster.ts";
import { openPatiently } from "./kubernetes-server.ts";
import { contents, everything, move, refusal, run, type Store } from "./migration.ts";

/** What Kubernetes has in its own form. */
const own: readonly Kind[] = ["EndpointSlice", "Node", "Profile", "Service", "WorkloadEndpoint"];
const kinds = everything.filter((kind) => !own.includes(kind));

export function migrateKubernetes(server: KubeApiServer): void {
  const folder = mkdtempSync(join(tmpdir(), "tt-migrate-"));
  after(() => rmSync(folder, { recursive: true }));
  const embedded = (name: string): Store => ({
    type: "embedded",
    open: async () => openEmbeddedDatastore(join(folder, name)),
  });
  const kubernetes: Store = {
    type: "kubernetes",
    open: () => openPatiently(server),
  };

  test("embedded to kubernetes and back: every object that is not Kubernetes' own is the same", async () => {
    const [first, second] = [embedded("first"), embedded("second")];
    const filled = await first.open();
    await sampleCluster(filled);
    await filled.close();
    await run(first, "lock");
    for (const name of ["node1", "node2"]) {
      await server.must("POST", "/api/v1/nodes", { kind: "Node", metadata: { name } });
    }
    const before = Object.entries(await contents(first, kinds));
    const wanted = before.filter(([key]) => !key.includes("/knp.default."));
    assert.ok(wanted.length > 20);
    assert.match(
      await refusal(kubernetes, "import -f -", await run(first, "export")),
      /^Cannot import: Kubernetes has no namespace "prod" of NetworkPolicy "web"; .*Nothing was written\n$/,
    );
    await server.must("POST", "/api/v1/namespaces", {
      kind: "Namespace",
      metadata: { name: "prod" },
    });
    await move(first, kubernetes);
    assert.deepEqual(await contents(kubernetes, kinds), Object.fromEntries(wanted));
    await move(kubernetes, second);
    assert.deepEqual(await contents(second, kinds), Object.fromEntries(wanted));
    for (const store of [kubernetes, second]) {
      const datastore = await store.open();
      const node = await datastore.get({ kind: "Node", name: "node1" });
      assert.equal(node.spec.bgp?.ipv4Address, "192.0.2.1/24");
      assert.equal(node.metadata.labels?.["rack"], "a");
      await datastore.close();
    }
  });
}
