import assert from "node:assert/strict";
import { test } from "node:test";
import { poolController, poolFinalizer } from "../../src/controllers/pool-controller.ts";
import { openKubernetesDatastore } from "../../src/datastore/kubernetes/kubernetes-datastore.ts";
import { Ipam } from "../../src/ipam/ipam.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/lib/log.ts";
import { waitFor } from "../support/wait-for.ts";
import { createCluster, pool } from "../unit/ipam/cluster.ts";
import { datastoreSuite } from "./datastore.suite.ts";
import { configOf, openAt, putPolicies, withKubeApiServer } from "./kubernetes-server.ts";

await withKubeApiServer("projectcalico.org/v3", async (server) => {
  await server.createNamespaces("a", "b", "w", "many");
  datastoreSuite({
    name: "kubernetes v3",
    open: () => openKubernetesDatastore(configOf(server, "projectcalico.org/v3")),
    // What a server remembers of changes is gone with it, and etcd's memory by compaction.
    compact: async (revision) => {
      await server.etcd.compact(revision);
      await server.stop();
      await server.start();
    },
    createMany: (policies) => putPolicies(server, "projectcalico.org/v3", policies),
    server,
    openAt: (endpoint) => openAt(server, endpoint, "projectcalico.org/v3"),
    ordersKinds: false,
  });

  test("kubernetes v3: a pool that is deleted while in use goes when its address is free", async () => {
    const datastore = await openKubernetesDatastore(configOf(server, "projectcalico.org/v3"));
    const pools = [pool("pods", { cidr: "10.99.0.0/24", blockSize: 28 })];
    await createCluster(datastore, { pools });
    await server.must("POST", "/api/v1/nodes", {
      apiVersion: "v1",
      kind: "Node",
      metadata: { name: "node1" },
    });
    const ports = { datastore, clock: systemClock, random: Math.random };
    const ipam = new Ipam(ports);
    const handle = {
      handle: "h",
      node: "node1",
      use: "Workload",
      num4: 1,
      attributes: {},
    } as const;
    await ipam.autoAssign(handle);
    const log = createLogger({ name: "test", level: "silent" });
    const stop = new AbortController();
    const running = poolController({ ...ports, ipam, log })(stop.signal);
    const path = "/apis/projectcalico.org/v3/ippools/pods";
    const raw = async () => await server.request("GET", path);
    await waitFor(async () => (await raw()).text.includes(poolFinalizer));
    await server.must("DELETE", path);
    await assert.rejects(ipam.autoAssign(handle), /it is being deleted/);
    assert.match((await raw()).text, /deletionTimestamp/);
    await ipam.releaseByHandle("h");
    await waitFor(async () => (await raw()).status === 404, { timeoutMs: 120_000 });
    stop.abort();
    await running;
    assert.deepEqual((await datastore.list("IPAMBlock")).items, []);
    await datastore.close();
  });
});
