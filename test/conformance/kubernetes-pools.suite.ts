import assert from "node:assert/strict";
import { test } from "node:test";
import { allocatableCondition } from "../../src/api/pool-condition.ts";
import { poolController, poolFinalizer } from "../../src/controllers/pool-controller.ts";
import type { Datastore } from "../../src/datastore/datastore.ts";
import { Ipam } from "../../src/ipam/ipam.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/lib/log.ts";
import type { KubeApiServer } from "../support/kube-apiserver.ts";
import { waitFor } from "../support/wait-for.ts";
import { createCluster, pool } from "../unit/ipam/cluster.ts";
import { openPatiently } from "./kubernetes-server.ts";

export function kubernetesPools(server: KubeApiServer): void {
  test("kubernetes v3: a pool that is deleted while in use goes when its address is free", async () => {
    const datastore = await openPatiently(server, "projectcalico.org/v3");
    const pools = [
      pool("pods", { cidr: "10.99.0.0/24", blockSize: 28 }),
      pool("pods-again", { cidr: "10.99.0.0/25", blockSize: 28 }),
    ];
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
    await waitFor(async () => (await reasonOf(datastore, "pods-again")) === "CIDROverlap");
    assert.equal(await reasonOf(datastore, "pods"), "OK");
    const requested = { ...handle, handle: "again", pools4: ["pods-again"] };
    await assert.rejects(ipam.autoAssign(requested), /not allocatable: CIDROverlap/);
    await server.must("DELETE", path);
    await assert.rejects(
      ipam.autoAssign(handle),
      /it is being deleted|not allocatable: Terminating/,
    );
    assert.match((await raw()).text, /deletionTimestamp/);
    await ipam.releaseByHandle("h");
    await waitFor(async () => (await raw()).status === 404, { timeoutMs: 120_000 });
    await waitFor(async () => (await reasonOf(datastore, "pods-again")) === "OK", {
      timeoutMs: 120_000,
    });
    stop.abort();
    await running;
    assert.deepEqual((await datastore.list("IPAMBlock")).items, []);
    await datastore.close();
  });
}

async function reasonOf(datastore: Datastore, name: string): Promise<string | undefined> {
  return allocatableCondition(await datastore.get({ kind: "IPPool", name }))?.reason;
}
