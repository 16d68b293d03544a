import assert from "node:assert/strict";
import { test } from "node:test";
import type { IPPool, IPPoolSpec } from "../../../src/api/resources/ip-pool.ts";
import type { IPAMConfigurationSpec } from "../../../src/api/resources/ipam.ts";
import { loadBalancerHost } from "../../../src/ipam/block-affinity.ts";
import { IpamError } from "../../../src/ipam/ipam-error.ts";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { checkInvariants, createCluster, inUse, ipamOn, pool } from "./cluster.ts";
import { FakeDatastore } from "./fake-datastore.ts";

/** Facts section 3, where no other test of this folder shows it. */

const pod = (handle: string, node = "node1") =>
  ({ handle, attributes: { pod: handle }, node, use: "Workload" }) as const;

async function cluster(
  pools: readonly IPPool[],
  config: IPAMConfigurationSpec = {},
): Promise<FakeDatastore> {
  const datastore = new FakeDatastore();
  await createCluster(datastore, { pools, config, nodes: { node1: {}, node2: {} } });
  return datastore;
}

async function replacePool(datastore: FakeDatastore, spec: IPPoolSpec): Promise<void> {
  await datastore.delete({ kind: "IPPool", name: "v4" });
  await datastore.create<"IPPool">(pool("v4", spec));
}

const hasCode = (code: string) => (error: unknown) => {
  assert.ok(error instanceof IpamError, String(error));
  assert.equal(error.code, code);
  return true;
};

test("3.2 autoAllocateBlocks false: a node without room gets no other block", async () => {
  const v4 = pool("v4", { cidr: "10.0.0.0/24", blockSize: 30 });
  const datastore = await cluster([v4], { autoAllocateBlocks: false, strictAffinity: true });
  await assert.rejects(
    ipamOn(datastore).autoAssign({ ...pod("a"), num4: 1 }),
    hasCode("blocks-fixed"),
  );
  assert.equal((await datastore.list("IPAMBlock")).items.length, 0);
});

test("3.8 dual stack: when one family fails, the other's address is given back", async () => {
  const pools = [
    pool("v4", { cidr: "10.0.0.0/24", blockSize: 28 }),
    pool("v6", { cidr: "fd00::/127", blockSize: 127 }),
  ];
  const datastore = await cluster(pools, { strictAffinity: true });
  const ipam = ipamOn(datastore);
  await ipam.autoAssign({ ...pod("a"), num6: 2 });
  await assert.rejects(
    ipam.autoAssign({ ...pod("b"), num4: 1, num6: 1 }),
    hasCode("pool-exhausted"),
  );
  assert.deepEqual([...new Set((await inUse(datastore)).values())], ["a"]);
  await checkInvariants(datastore, { exact: true });
});

test("3.1 a handle with capitals keeps them, but for the name of its object", async () => {
  const datastore = await cluster([pool("v4", { cidr: "10.0.0.0/24" })]);
  const ipam = ipamOn(datastore);
  await ipam.autoAssign({ ...pod("Net.ABC"), num4: 1 });
  const [handle] = (await datastore.list("IPAMHandle")).items;
  assert.deepEqual([handle?.metadata.name, handle?.spec.handleID], ["net.abc", "Net.ABC"]);
  assert.equal((await ipam.releaseByHandle("Net.ABC")).length, 1);
});

test("a pool deleted while in use: its addresses are released, and their block is found", async () => {
  const datastore = await cluster([pool("v4", { cidr: "10.0.0.0/24" })]);
  const ipam = ipamOn(datastore);
  const [assigned] = await ipam.autoAssign({ ...pod("a"), num4: 1 });
  assert.ok(assigned !== undefined);
  await datastore.delete({ kind: "IPPool", name: "v4" });
  const kinds = (await ipam.audit()).problems.map(({ kind }) => kind);
  assert.ok(kinds.includes("block-without-pool"));
  const { address, handle, sequenceNumber } = assigned;
  const { released } = await ipam.releaseIps([{ address, handle, sequenceNumber }]);
  assert.deepEqual(released, [address]);
});

test("a pool made anew with another block size: no address stands in two blocks", async () => {
  const datastore = await cluster([pool("v4", { cidr: "10.0.0.0/26", blockSize: 29 })]);
  const ipam = ipamOn(datastore);
  const asked = parseIpAddr("10.0.0.17");
  await ipam.assignIp({ ...pod("old"), address: asked });
  await replacePool(datastore, { cidr: "10.0.0.0/26", blockSize: 28 });
  // In the old block, then beside it where a new block would hold it too.
  const taken = { ...pod("b"), address: parseIpAddr("10.0.0.18") };
  assert.equal((await ipam.assignIp(taken)).block, "10.0.0.16/29");
  const beside = { ...pod("c"), address: parseIpAddr("10.0.0.25") };
  await assert.rejects(ipam.assignIp(beside), hasCode("bad-pool"));
  const assigned = await ipam.autoAssign({ ...pod("d"), num4: 48 + 6 });
  const all = [...assigned.map(({ address }) => address), asked, taken.address];
  assert.equal(new Set(all).size, 48 + 8);
  await checkInvariants(datastore, { exact: true });
});

test("blocks of one address: each node walks from another place, and all are usable", async () => {
  const datastore = await cluster([pool("v4", { cidr: "10.0.0.0/28", blockSize: 32 })]);
  const ipam = ipamOn(datastore);
  const assigned = await Promise.all(
    ["node1", "node2"].map((node) => ipam.autoAssign({ ...pod(node, node), num4: 8 })),
  );
  assert.equal(new Set(assigned.flat().map(({ address }) => address)).size, 16);
  await checkInvariants(datastore, { exact: true });
});

test("3.11 a node that is called as the load balancers' host has none of its blocks, nor it the node's", async () => {
  const balancers = { allowedUses: ["LoadBalancer"] as const, blockSize: 30 };
  const datastore = await cluster([
    pool("v4", { cidr: "10.0.0.0/28", blockSize: 30 }),
    pool("public", { cidr: "192.0.2.0/28", ...balancers }),
  ]);
  const use = "LoadBalancer" as const;
  const [first] = await ipamOn(datastore).autoAssign({
    ...pod("lb-1", loadBalancerHost),
    use,
    num4: 1,
  });
  const [second] = await ipamOn(datastore).autoAssign({
    ...pod("lb-2", loadBalancerHost),
    use,
    num4: 1,
  });
  assert.equal(second?.block, first?.block, "the block is found again by another process");
  const ipam = ipamOn(datastore);
  await ipam.autoAssign({ ...pod("a", "load-balancer"), num4: 1 });
  await ipam.releaseByHandle("lb-1");
  await ipam.releaseByHandle("lb-2");
  await ipam.releaseAffinities({ node: "load-balancer" });
  const owners = (await datastore.list("BlockAffinity")).items.map(({ spec }) => spec.type);
  assert.deepEqual(owners, ["virtual"]);
});

test("3.3 a block whose addresses are all reserved is not claimed", async () => {
  const datastore = await cluster([pool("v4", { cidr: "10.0.0.0/28", blockSize: 30 })]);
  await datastore.create<"IPReservation">({
    apiVersion: "projectcalico.org/v3",
    kind: "IPReservation",
    metadata: { name: "kept" },
    spec: { reservedCIDRs: ["10.0.0.0/29", "10.0.0.8/30"] },
  });
  await ipamOn(datastore).autoAssign({ ...pod("a"), num4: 4 });
  const blocks = (await datastore.list("IPAMBlock")).items.map(({ spec }) => spec.cidr);
  assert.deepEqual(blocks, ["10.0.0.12/30"]);
});
