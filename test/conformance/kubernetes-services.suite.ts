import assert from "node:assert/strict";
import { test } from "node:test";
import { loadBalancerController } from "../../src/controllers/load-balancer-controller.ts";
import { Ipam } from "../../src/ipam/ipam.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/lib/log.ts";
import type { KubeApiServer } from "../support/kube-apiserver.ts";
import { waitFor } from "../support/wait-for.ts";
import { checkInvariants, createCluster, pool } from "../unit/ipam/cluster.ts";
import { openPatiently } from "./kubernetes-server.ts";

const path = "/api/v1/namespaces/default/services";
const patience = { timeoutMs: 120_000 };

export function kubernetesServices(server: KubeApiServer): void {
  test("kubernetes: Services of the type LoadBalancer get addresses in their status, and give them back", async () => {
    const datastore = await openPatiently(server);
    const balancers = { allowedUses: ["LoadBalancer"] as const, blockSize: 28 };
    const pools = [pool("public", { cidr: "192.0.2.0/28", ...balancers })];
    await createCluster(datastore, { pools });
    const ipam = new Ipam({ datastore, clock: systemClock, random: Math.random });
    const log = createLogger({ name: "test", level: "silent" });
    const stop = new AbortController();
    const ports = { datastore, ipam, clock: systemClock, log };
    const running = loadBalancerController(ports)(stop.signal);
    const held = async () => (await ipam.serviceAllocations()).map(({ address }) => address);

    const asked = { "projectcalico.org/loadBalancerIPs": '["192.0.2.7"]' };
    await server.must("POST", path, service("any"));
    await server.must("POST", path, service("named", asked));
    await waitFor(async () => (await ingress(server, "any")).length === 1, patience);
    await waitFor(async () => (await ingress(server, "named")).length === 1, patience);
    assert.deepEqual(await ingress(server, "named"), ["192.0.2.7"]);
    assert.deepEqual(
      (await held()).sort(),
      [...(await ingress(server, "any")), "192.0.2.7"].sort(),
    );
    const [affinity] = (await datastore.list("BlockAffinity")).items;
    assert.deepEqual([affinity?.spec.node, affinity?.spec.type], ["load-balancer", "virtual"]);
    assert.deepEqual((await ipam.audit()).problems, []);

    const merge = "application/merge-patch+json";
    await server.must("PATCH", `${path}/any`, { spec: { type: "ClusterIP" } }, merge);
    await server.must("DELETE", `${path}/named`);
    await waitFor(async () => (await held()).length === 0, patience);
    await waitFor(async () => (await ingress(server, "any")).length === 0, patience);
    await checkInvariants(datastore, { exact: true });
    stop.abort();
    await running;
    await server.must("DELETE", `${path}/any`);
    await datastore.close();
  });
}

function service(name: string, annotations: Readonly<Record<string, string>> = {}): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, annotations },
    spec: { type: "LoadBalancer", selector: { app: name }, ports: [{ port: 80 }] },
  };
}

async function ingress(server: KubeApiServer, name: string): Promise<readonly string[]> {
  const { status } = (await server.must("GET", `${path}/${name}`)) as {
    readonly status: { readonly loadBalancer: { readonly ingress?: readonly { ip: string }[] } };
  };
  return (status.loadBalancer.ingress ?? []).map(({ ip }) => ip);
}
