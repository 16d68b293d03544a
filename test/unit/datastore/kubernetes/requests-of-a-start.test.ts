import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { openKubernetesDatastore } from "../../../../src/datastore/kubernetes/kubernetes-datastore.ts";
import { FakeKubeApi } from "../../../support/fake-kube-api.ts";
import { startNode } from "../../../support/node-start.ts";

/** What `npm run bench:kube` allows a node of a cluster that has its default objects. */
const mostRequests = 40;

/** Requests of the second node that starts, once both are in sync. */
async function requestsOfStart(t: TestContext, hasWatchList: boolean): Promise<readonly string[]> {
  const unknown = ["/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies"];
  const api = await FakeKubeApi.start({ hasWatchList, unknown });
  const folder = mkdtempSync(join(tmpdir(), "tortie-start-"));
  const stop = new AbortController();
  t.after(async () => {
    stop.abort();
    await api.close();
    rmSync(folder, { recursive: true });
  });
  const { endpoint } = api;
  const open = () =>
    openKubernetesDatastore({ access: { endpoint }, apiGroup: "crd.projectcalico.org/v1" });
  for (const index of [1, 2]) api.put("/api/v1/nodes", { metadata: { name: `node-${index}` } });
  const access = { K8S_API_ENDPOINT: endpoint };
  await startNode({ index: 1, folder, access, open }, stop.signal);
  const before = api.asked.length;
  await startNode({ index: 2, folder, access, open }, stop.signal);
  return api.asked.slice(before);
}

test("a node's start asks the API server for each thing once", async (t) => {
  const asked = await requestsOfStart(t, true);
  const watches = asked.filter((one) => one.endsWith("?watch"));
  assert.deepEqual(
    watches.filter((one, index) => watches.indexOf(one) !== index),
    [],
    "three processes watch each collection once",
  );
  assert.ok(asked.length < mostRequests, `${asked.length}:\n${asked.join("\n")}`);
});

test("where lists do not come as watches, each collection is listed before its watch, and no more", async (t) => {
  const asked = await requestsOfStart(t, false);
  const lists = asked.filter((one) => /^GET \S+\/(nodes|ippools|felixconfigurations)$/.test(one));
  assert.deepEqual(lists.toSorted(), [
    "GET /api/v1/nodes",
    "GET /apis/crd.projectcalico.org/v1/felixconfigurations",
    "GET /apis/crd.projectcalico.org/v1/ippools",
  ]);
});
