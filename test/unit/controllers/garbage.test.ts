import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { loadBalancerHost } from "../../../src/ipam/block-affinity.ts";
import { pool } from "../ipam/cluster.ts";
import { cluster } from "./garbage-cluster.ts";

describe("ipamController()", () => {
  test("releases an address that nobody has used for 15 minutes, and not before", async (t) => {
    const it = await cluster(t);
    const [used, leaked] = [await it.addPod("a", "node1"), await it.assign("b", "node1")];
    await it.pass(14);
    assert.deepEqual((await it.addresses()).sort(), [used, leaked].sort());
    await it.pass(12);
    assert.deepEqual(await it.addresses(), [used]);
  });

  test("leakGracePeriod says how long; a pod that comes back in time keeps its address", async (t) => {
    const it = await cluster(t, "4m");
    const kept = await it.assign("a", "node1");
    await it.pass(3);
    await it.create({
      kind: "WorkloadEndpoint",
      metadata: { name: "node1-k8s-a-eth0", namespace: "default" },
      spec: { node: "node1", pod: "a", ipNetworks: [`${kept}/32`] },
    });
    const leaked = await it.assign("b", "node1");
    await it.pass(3);
    assert.ok((await it.addresses()).includes(leaked));
    await it.pass(5);
    assert.deepEqual(await it.addresses(), [kept]);
  });

  test("a grace period of 0 switches it off", async (t) => {
    const it = await cluster(t, "0");
    const leaked = await it.assign("a", "node1");
    await it.pass(60);
    assert.deepEqual(await it.addresses(), [leaked]);
  });

  test("an address that was released and given again starts anew", async (t) => {
    const it = await cluster(t, "10m");
    await it.assign("a", "node1");
    await it.pass(8);
    await it.ipam.releaseByHandle("k8s-pod-network.a");
    const again = await it.assign("a", "node1");
    await it.pass(8);
    assert.deepEqual(await it.addresses(), [again]);
  });

  test("a handle is released as a whole, or not at all", async (t) => {
    const it = await cluster(t, "4m");
    const address = await it.addPod("a", "node1");
    const second = await it.assign("a", "node1");
    await it.pass(20);
    assert.deepEqual((await it.addresses()).sort(), [address, second].sort());
    await it.removeEndpoint("a", "node1");
    await it.pass(12);
    assert.deepEqual(await it.addresses(), []);
  });

  test("what it cannot tell stays: no namespace, a service's, a tunnel's of a node that is there", async (t) => {
    const it = await cluster(t, "1m");
    const given = [
      await it.assign("a", "node1", { namespace: "" }),
      await it.assign("b", "node1", { pod: "" }),
      await it.assign("c", "node1", { type: "vxlanTunnelAddress" }),
    ];
    await it.pass(30);
    assert.deepEqual((await it.addresses()).sort(), given.sort());
  });

  test("a virtual machine has 5 minutes at least", async (t) => {
    const it = await cluster(t, "1m");
    const machine = await it.assign("virt-launcher-vm-x", "node1");
    await it.pass(4);
    assert.deepEqual(await it.addresses(), [machine]);
    await it.pass(4);
    assert.deepEqual(await it.addresses(), []);
  });

  test("a node that is gone loses its addresses and blocks at once", async (t) => {
    const it = await cluster(t);
    await it.assign("a", "node1", { type: "vxlanTunnelAddress" });
    await it.assign("b", "node1");
    const other = await it.addPod("c", "node2");
    await it.datastore.delete({ kind: "Node", name: "node1" });
    await it.pass(6);
    assert.deepEqual(await it.addresses(), [other]);
    assert.equal(await it.blocksOf("node1"), 0);
    assert.equal(await it.blocksOf("node2"), 1);
  });

  test("a node that is gone keeps its blocks while one of its pods is there", async (t) => {
    const it = await cluster(t);
    const address = await it.addPod("a", "node1");
    await it.datastore.delete({ kind: "Node", name: "node1" });
    await it.pass(30);
    assert.deepEqual(await it.addresses(), [address]);
    assert.equal(await it.blocksOf("node1"), 1);
  });

  test("empty blocks go back, except a node's only one", async (t) => {
    const it = await cluster(t, "4m");
    for (let i = 0; i < 17; i++) await it.addPod(`p${i}`, "node1");
    assert.equal(await it.blocksOf("node1"), 2);
    for (let i = 0; i < 17; i++) {
      await it.removeEndpoint(`p${i}`, "node1");
      await it.ipam.releaseByHandle(`k8s-pod-network.p${i}`);
    }
    await it.pass(3);
    assert.equal(await it.blocksOf("node1"), 2);
    await it.pass(12);
    assert.equal(await it.blocksOf("node1"), 1);
  });

  test("empty blocks of the load balancers go back as those of a node", async (t) => {
    const it = await cluster(t, "4m");
    const balancers = { allowedUses: ["LoadBalancer"] as const, blockSize: 30 };
    await it.create(pool("public", { cidr: "192.0.2.0/28", ...balancers }));
    const attributes = { service: "web", namespace: "default", type: "LoadBalancer" };
    const owner = { node: loadBalancerHost, use: "LoadBalancer", num4: 1 } as const;
    for (let i = 0; i < 9; i++) {
      await it.ipam.autoAssign({ ...owner, handle: `lb-${i}`, attributes });
    }
    assert.equal(await it.blocksOf("load-balancer"), 3);
    for (let i = 0; i < 8; i++) await it.ipam.releaseByHandle(`lb-${i}`);
    await it.pass(3);
    assert.equal(await it.blocksOf("load-balancer"), 3);
    await it.pass(12);
    assert.equal(await it.blocksOf("load-balancer"), 1);
    assert.equal((await it.addresses()).length, 1);
    await it.ipam.releaseByHandle("lb-8");
    await it.pass(15);
    assert.equal(await it.blocksOf("load-balancer"), 1);
  });

  test("addresses that have rested are free again without anybody asking", async (t) => {
    const it = await cluster(t, "4m");
    const spec = { ipCooldownSeconds: 60 };
    await it.create({ kind: "IPAMConfiguration", metadata: { name: "default" }, spec });
    await it.addPod("stays", "node1");
    await it.assign("a", "node1");
    await it.ipam.releaseByHandle("k8s-pod-network.a");
    const resting = async () =>
      (await it.datastore.list("IPAMBlock")).items.flatMap(({ spec: block }) =>
        block.attributes.filter(({ releasedAt }) => releasedAt !== undefined),
      ).length;
    assert.equal(await resting(), 1);
    await it.pass(6);
    assert.equal(await resting(), 0);
  });

  test("a handle that counts more than its blocks give it is counted anew, or deleted", async (t) => {
    const it = await cluster(t, "4m");
    await it.addPod("a", "node1");
    const kept = await it.datastore.get({ kind: "IPAMHandle", name: "k8s-pod-network.a" });
    const block = { ...kept.spec.block, "10.0.0.240/28": 1 };
    await it.datastore.update<"IPAMHandle">({ ...kept, spec: { ...kept.spec, block } });
    const spec = { handleID: "k8s-pod-network.b", block: { "10.0.0.240/28": 1 }, deleted: false };
    await it.create({ kind: "IPAMHandle", metadata: { name: "k8s-pod-network.b" }, spec });
    await it.pass(3);
    assert.equal((await it.datastore.list("IPAMHandle")).items.length, 2);
    await it.pass(8);
    const handles = (await it.datastore.list("IPAMHandle")).items.map((each) => each.spec);
    assert.deepEqual(handles, [kept.spec]);
  });

  test("a claim that nobody finishes is confirmed where the block is the node's, else undone", async (t) => {
    const it = await cluster(t, "4m");
    await it.addPod("a", "node1");
    const [mine] = (await it.datastore.list("BlockAffinity")).items;
    assert.ok(mine !== undefined);
    await it.datastore.update<"BlockAffinity">({
      ...mine,
      spec: { ...mine.spec, state: "pending" },
    });
    const { cidr } = mine.spec;
    const metadata = { name: `node2-${cidr.replaceAll(/[./]/g, "-")}` };
    await it.create({
      kind: "BlockAffinity",
      metadata,
      spec: { state: "pending", node: "node2", cidr },
    });
    await it.pass(11);
    const left = (await it.datastore.list("BlockAffinity")).items;
    assert.deepEqual(
      left.map(({ spec }) => `${spec.node} ${spec.state}`),
      ["node1 confirmed"],
    );
  });

  test("a node that registers again within two minutes keeps the address of a pod being added", async (t) => {
    const it = await cluster(t, "4m");
    const address = await it.assign("a", "node1");
    const node = await it.datastore.get({ kind: "Node", name: "node1" });
    await it.datastore.delete({ kind: "Node", name: "node1" });
    await it.pass(1.5);
    await it.datastore.create<"Node">(node);
    await it.pass(1);
    assert.deepEqual(await it.addresses(), [address]);
  });

  test("a locked datastore is left alone", async (t) => {
    const it = await cluster(t, "1m");
    const metadata = { name: "default" };
    await it.create({ kind: "ClusterInformation", metadata, spec: { datastoreReady: false } });
    const leaked = await it.assign("a", "node1");
    await it.pass(20);
    assert.deepEqual(await it.addresses(), [leaked]);
  });
});
