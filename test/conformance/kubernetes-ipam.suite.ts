import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeApiServer } from "../support/kube-apiserver.ts";
import { checkInvariants, createCluster, inUse, ipamOn, pool } from "../unit/ipam/cluster.ts";
import { openPatiently } from "./kubernetes-server.ts";

const hosts = ["node0", "node1", "node2", "node3", "node4"];
const podsPerHost = 12;

export function kubernetesIpam(server: KubeApiServer): void {
  test("kubernetes: hosts that claim, assign and release at once give no address twice and lose none", async () => {
    for (const name of hosts) {
      const node = { apiVersion: "v1", kind: "Node", metadata: { name } };
      await server.must("POST", "/api/v1/nodes", node);
    }
    const datastore = await openPatiently(server);
    await createCluster(datastore, { pools: [pool("v4", { cidr: "10.0.0.0/24", blockSize: 29 })] });
    const held = new Map<string, string>();
    await Promise.all(
      hosts.map(async (node) => {
        const connection = await openPatiently(server);
        const ipam = ipamOn(connection);
        for (let index = 0; index < podsPerHost; index++) {
          const handle = `k8s-pod-network.${node}-${index}`;
          const request = { node, use: "Workload", handle, attributes: { node }, num4: 1 } as const;
          const [assigned] = await ipam.autoAssign(request);
          assert.ok(assigned);
          held.set(handle, String(assigned.address));
          if (index % 3 !== 2) continue;
          await ipam.releaseByHandle(handle);
          held.delete(handle);
        }
        await connection.close();
      }),
    );
    assert.equal(new Set(held.values()).size, held.size, "no address is held twice");
    const handles = [...(await inUse(datastore)).values()];
    assert.deepEqual(handles.sort(), [...held.keys()].sort());
    await checkInvariants(datastore, { exact: true });

    const ipam = ipamOn(datastore);
    await Promise.all([...held.keys()].map((handle) => ipam.releaseByHandle(handle)));
    assert.equal((await inUse(datastore)).size, 0);
    assert.deepEqual((await datastore.list("IPAMHandle")).items, []);
    await checkInvariants(datastore, { exact: true });
    await datastore.close();
  });
}
