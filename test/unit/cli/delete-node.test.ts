import assert from "node:assert/strict";
import { test } from "node:test";
import type { AnyResource } from "../../../src/api/resource-of-kind.ts";
import { deleteObject } from "../../../src/cli/store-item.ts";
import { Ipam } from "../../../src/ipam/ipam.ts";
import { InputError } from "../../../src/lib/errors.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { MemoryDatastore } from "../../support/memory-datastore.ts";
import { createCluster, pool } from "../ipam/cluster.ts";

const node1 = { kind: "Node", name: "node1" } as const;

function object(kind: string, name: string, spec: object, namespace?: string): AnyResource {
  const metadata = { name, ...(namespace === undefined ? {} : { namespace }) };
  return { apiVersion: "projectcalico.org/v3", kind, metadata, spec } as unknown as AnyResource;
}

/** Two nodes, each with a pod, a tunnel, a peer and configurations. */
async function cluster(): Promise<{
  store: MemoryDatastore;
  ports: Parameters<typeof deleteObject>[2];
}> {
  const store = new MemoryDatastore();
  const ports = { datastore: store, clock: new FakeClock(), random: () => 0 };
  const pools = [pool("pods", { cidr: "10.0.0.0/24", blockSize: 28 })];
  await createCluster(store, { pools, nodes: { node1: {}, node2: {} } });
  const ipam = new Ipam(ports);
  const create = (resource: AnyResource) => store.create(resource as never);
  for (const node of ["node1", "node2"]) {
    const assign = async (handle: string, attributes: Record<string, string>) => {
      const owner = { handle, attributes: { node, ...attributes }, node };
      const [assigned] = await ipam.autoAssign({ ...owner, use: "Workload", num4: 1 });
      return assigned?.address ?? assert.fail("no address");
    };
    const address = await assign(`pod-${node}`, { pod: "a", namespace: "default" });
    const spec = { orchestrator: "k8s", node, pod: "a", ipNetworks: [`${address}/32`] };
    await create(object("WorkloadEndpoint", `${node}-k8s-a-eth0`, spec, "default"));
    const tunnel = await assign(`vxlan-tunnel-addr-${node}`, { type: "vxlanTunnelAddress" });
    const present = await store.get({ kind: "Node", name: node });
    await store.update<"Node">({
      ...present,
      spec: { ...present.spec, ipv4VXLANTunnelAddr: tunnel },
    });
    await create(object("BGPPeer", `peer-of-${node}`, { node, peerIP: "192.0.2.1" }));
    await create(object("FelixConfiguration", `node.${node}`, {}));
    await create(object("BGPConfiguration", `node.${node}`, {}));
  }
  return { store, ports };
}

test("a node is deleted with its endpoints, addresses, blocks, peers and configurations", async () => {
  const { store, ports } = await cluster();
  const ofOther = Object.keys(store.contents()).filter((key) => key.includes("node2"));
  await deleteObject(node1, [], ports);
  const left = Object.keys(store.contents());
  assert.deepEqual(
    left.filter((key) => key.includes("node1")),
    [],
  );
  assert.deepEqual(
    left.filter((key) => key.includes("node2")),
    ofOther,
  );
  const { allocations, problems } = await new Ipam(ports).audit();
  assert.equal(allocations.length, 2);
  assert.deepEqual(problems, []);
});

test("a node's deletion that was interrupted is finished by the next", async () => {
  for (let whole = 1; whole <= 8; whole++) {
    const { store, ports } = await cluster();
    const cause = new Error("cut off");
    for (let i = 0; i < whole; i++) store.next("delete", () => undefined);
    store.next("delete", cause);
    await assert.rejects(deleteObject(node1, [], ports), cause);
    await deleteObject(node1, [], ports);
    // A handle that counts too much is garbage collection's.
    const left = Object.keys(store.contents()).filter((key) => !key.startsWith("IPAMHandle"));
    assert.ok(!left.some((key) => key.includes("node1")), `${whole}: ${left.join()}`);
    assert.equal((await new Ipam(ports).audit()).allocations.length, 2);
  }
});

test("where nodes cannot be deleted, or it was changed, nothing of it is taken away", async () => {
  const { store, ports } = await cluster();
  const before = store.contents();
  const cause = new InputError("delete the node in Kubernetes");
  store.next("delete", cause);
  await assert.rejects(deleteObject(node1, [], ports), cause);
  await assert.rejects(deleteObject(node1, [], { ...ports, resourceVersion: "1" }), /changed/);
  assert.deepEqual(store.contents(), before);
});

test("a virtual machine keeps its address when the node of its pod is deleted", async () => {
  const { ports } = await cluster();
  const handle = "net.vmi.default.db";
  const pod = { namespace: "default", pod: "virt-launcher-db-a", node: "node1" };
  const attributes = { ...pod, "vmi-name": "db" };
  const owner = { handle, attributes, node: "node1", use: "Workload", num4: 1 } as const;
  const [assigned] = await new Ipam(ports).autoAssign(owner);
  await deleteObject(node1, [], ports);
  const held = await (await new Ipam(ports).sharedHandle(handle)).addresses();
  assert.deepEqual(
    held.map(({ address }) => address),
    [assigned?.address],
  );
});
