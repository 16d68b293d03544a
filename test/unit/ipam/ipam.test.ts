import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { calicoApiVersion } from "../../../src/api/meta.ts";
import { DatastoreError } from "../../../src/datastore/datastore.ts";
import { IpamError } from "../../../src/ipam/ipam-error.ts";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { parsePrefix } from "../../../src/lib/prefix.ts";
import { checkInvariants, createCluster, inUse, ipamOn, pool } from "./cluster.ts";
import { FakeDatastore } from "./fake-datastore.ts";

const v4 = pool("v4", { cidr: "10.0.0.0/24", blockSize: 28 });
const v6 = pool("v6", { cidr: "fd00::/112", blockSize: 122 });
const pod = (handle: string, node = "node1") =>
  ({ handle, attributes: { pod: handle }, node, use: "Workload" }) as const;
const failsWith = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof IpamError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

async function cluster(
  options: Partial<Parameters<typeof createCluster>[1]> = {},
): Promise<FakeDatastore> {
  const datastore = new FakeDatastore();
  await createCluster(datastore, { pools: [v4, v6], nodes: { node1: {}, node2: {} }, ...options });
  return datastore;
}

test("autoAssign() gives one address a family, from a block that the node now has", async () => {
  const datastore = await cluster();
  const assigned = await ipamOn(datastore).autoAssign({ ...pod("a"), num4: 1, num6: 1 });
  assert.equal(assigned.length, 2);
  assert.match(assigned[0]?.address ?? "", /^10\.0\.0\.\d+$/);
  assert.match(assigned[1]?.address ?? "", /^fd00::/);
  await checkInvariants(datastore, { exact: true });
});

test("autoAssign() fills its blocks before it claims another", async () => {
  const datastore = await cluster();
  const ipam = ipamOn(datastore);
  for (let i = 0; i < 20; i++) await ipam.autoAssign({ ...pod(`p${i}`), num4: 1 });
  assert.equal((await datastore.list("IPAMBlock")).items.length, 2);
  await checkInvariants(datastore, { exact: true });
});

test("a handle that cannot be written fails its own request, not those that come with it", async () => {
  const datastore = new FakeDatastore({
    before: (op, { kind, name }) => {
      if (op === "create" && kind === "IPAMHandle" && name === "refused") {
        throw new DatastoreError("refused", { code: "corrupt", key: name });
      }
    },
  });
  await createCluster(datastore, {
    pools: [pool("a", { cidr: "10.0.0.0/29", blockSize: 30 })],
    nodes: { node1: {} },
  });
  const ipam = ipamOn(datastore);
  const ask = (handle: string) => ipam.autoAssign({ ...pod(handle), num4: 1 });
  for (const handle of ["h1", "h2", "h3"]) await ask(handle);
  const outcomes = await Promise.allSettled([ask("refused"), ask("h4"), ask("h5")]);
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ["rejected", "fulfilled", "fulfilled"],
  );
});

test("releaseByHandle() frees everything and deletes the handle; again is success", async () => {
  const datastore = await cluster();
  const ipam = ipamOn(datastore);
  const assigned = await ipam.autoAssign({ ...pod("A"), num4: 20, num6: 1 });
  const released = await ipam.releaseByHandle("A");
  assert.deepEqual([...released].sort(), assigned.map(({ address }) => address).sort());
  assert.deepEqual((await datastore.list("IPAMHandle")).items, []);
  assert.deepEqual(await ipam.releaseByHandle("A"), []);
  await checkInvariants(datastore, { exact: true });
});

test("autoAssign() says which pools are full, and gives back what it had", async () => {
  const small = pool("small", { cidr: "10.9.0.0/29", blockSize: 30 });
  const datastore = await cluster({ pools: [small] });
  const ipam = ipamOn(datastore);
  await ipam.autoAssign({ ...pod("a"), num4: 7 });
  await assert.rejects(
    ipam.autoAssign({ ...pod("b", "node2"), num4: 2 }),
    failsWith("pool-exhausted", /small 10\.9\.0\.0\/29: 8 of 8 in use/),
  );
  assert.equal((await inUse(datastore)).size, 7);
  await checkInvariants(datastore, { exact: true });
});

test("autoAssign() borrows from another node's block, unless affinity is strict", async () => {
  for (const strictAffinity of [false, true]) {
    const small = pool("small", { cidr: "10.9.0.0/29", blockSize: 29 });
    const datastore = await cluster({ pools: [small], config: { strictAffinity } });
    const ipam = ipamOn(datastore);
    await ipam.autoAssign({ ...pod("a"), num4: 1 });
    const borrowing = ipam.autoAssign({ ...pod("b", "node2"), num4: 1 });
    if (strictAffinity) {
      await assert.rejects(borrowing, failsWith("pool-exhausted", /strictAffinity/));
    } else {
      assert.equal((await borrowing).length, 1);
    }
    await checkInvariants(datastore, { exact: true });
  }
});

test("autoAssign() stops at the limit of blocks of a host", async () => {
  const config = { strictAffinity: true, maxBlocksPerHost: 2 };
  const datastore = await cluster({ config });
  const ipam = ipamOn(datastore);
  await ipam.autoAssign({ ...pod("a"), num4: 32 });
  await assert.rejects(
    ipam.autoAssign({ ...pod("b"), num4: 1 }),
    failsWith("block-limit", /2 blocks are full and it may have 2/),
  );
});

test("autoAssign() takes an empty block from another node after a minute, not before", async () => {
  const small = pool("small", { cidr: "10.9.0.0/29", blockSize: 29 });
  const datastore = await cluster({ pools: [small], config: { strictAffinity: true } });
  const ahead = { ms: 0 };
  const ipam = ipamOn(datastore, ahead);
  await ipam.autoAssign({ ...pod("a"), num4: 1 });
  await ipam.releaseByHandle("a");
  ahead.ms = 50_000;
  const wanted = { ...pod("b", "node2"), num4: 1 };
  await assert.rejects(ipam.autoAssign(wanted), failsWith("pool-exhausted", /0 of 8 in use/));
  ahead.ms = 61_000;
  assert.equal((await ipam.autoAssign(wanted)).length, 1);
  const { items } = await datastore.list("BlockAffinity");
  assert.deepEqual(
    items.map(({ spec }) => [spec.node, spec.state]),
    [["node2", "confirmed"]],
  );
});

test("a released address is not given again before ipCooldownSeconds", async () => {
  const small = pool("small", { cidr: "10.9.0.0/30", blockSize: 30 });
  const datastore = await cluster({ pools: [small], config: { ipCooldownSeconds: 30 } });
  const ahead = { ms: 0 };
  const ipam = ipamOn(datastore, ahead);
  await ipam.autoAssign({ ...pod("a"), num4: 4 });
  await ipam.releaseByHandle("a");
  await assert.rejects(
    ipam.autoAssign({ ...pod("b"), num4: 1 }),
    failsWith("pool-exhausted", /0 of 4 in use, 4 cooling down/),
  );
  ahead.ms = 31_000;
  assert.equal((await ipam.autoAssign({ ...pod("b"), num4: 4 })).length, 4);
});

test("choosePools(): selectors, uses, mode and disabled decide, with reasons", async () => {
  const pools = [
    pool("disabled", { cidr: "10.1.0.0/24", disabled: true }),
    pool("manual", { cidr: "10.2.0.0/24", assignmentMode: "Manual" }),
    pool("other-node", { cidr: "10.3.0.0/24", nodeSelector: 'zone == "b"' }),
    pool("tunnel", { cidr: "10.4.0.0/24", allowedUses: ["Tunnel"] }),
    pool("tiny", { cidr: "10.5.0.0/27" }),
    pool("namespace", { cidr: "10.6.0.0/24", namespaceSelector: "has(team)" }),
  ];
  const datastore = await cluster({ pools, nodes: { node1: { zone: "a" }, node2: { zone: "b" } } });
  const ipam = ipamOn(datastore);
  await assert.rejects(
    ipam.autoAssign({ ...pod("a"), num4: 1 }),
    failsWith(
      "no-pool",
      /disabled: it is disabled; manual: .*Manual; .*other-node: its nodeSelector .*; tiny: 10\.5\.0\.0\/27 is smaller than a block \(\/26\); tunnel: allowedUses is Tunnel/s,
    ),
  );
  const of = async (request: object) =>
    (await ipam.autoAssign({ ...pod("a"), num4: 1, ...request }))[0]?.address.split(".")[1];
  assert.equal(await of({ node: "node2" }), "3");
  assert.equal(await of({ namespaceLabels: { team: "x" } }), "6");
  assert.equal(await of({ use: "Tunnel" }), "4");
  assert.equal(await of({ pools4: ["manual"] }), "2");
  assert.equal(await of({ pools4: ["10.3.0.0/24"] }), "3");
  for (const wanted of ["disabled", "none", "10.7.0.0/24"]) {
    await assert.rejects(of({ pools4: [wanted] }), failsWith("bad-pool", new RegExp(wanted)));
  }
});

test("assignIp() gives just this address, once", async () => {
  const datastore = await cluster();
  const ipam = ipamOn(datastore);
  const address = parseIpAddr("10.0.0.77");
  assert.equal((await ipam.assignIp({ ...pod("a"), address })).block, "10.0.0.64/28");
  await assert.rejects(
    ipam.assignIp({ ...pod("b", "node2"), address }),
    failsWith("address-taken", /handle "a" has it/),
  );
  await assert.rejects(
    ipam.assignIp({ ...pod("b"), address: parseIpAddr("10.1.0.1") }),
    failsWith("bad-pool", /lies in no IPPool/),
  );
  assert.equal((await ipam.holderOf(address))?.handle, "a");
  await checkInvariants(datastore, { exact: true });
});

test("releaseIps() with the sequence number of an earlier owner frees nothing", async () => {
  const datastore = await cluster();
  const ipam = ipamOn(datastore);
  const address = parseIpAddr("10.0.0.77");
  const first = await ipam.assignIp({ ...pod("a"), address });
  await ipam.releaseIps([first]);
  await ipam.assignIp({ ...pod("b"), address });
  await assert.rejects(
    ipam.releaseIps([{ address, sequenceNumber: first.sequenceNumber }]),
    failsWith("owner-changed", /10\.0\.0\.77/),
  );
  assert.equal((await ipam.holderOf(address))?.handle, "b");
  const nowhere = parseIpAddr("10.0.0.200");
  assert.deepEqual(await ipam.releaseIps([{ address: nowhere }]), {
    released: [],
    unallocated: [nowhere],
  });
});

test("releaseAffinities() deletes empty blocks; others go with their last address", async () => {
  const datastore = await cluster();
  const ipam = ipamOn(datastore);
  await ipam.autoAssign({ ...pod("a"), num4: 1, num6: 1 });
  const whole = parsePrefix("10.0.0.0/24");
  assert.equal((await ipam.releaseAffinities({ pool: whole, mustBeEmpty: true })).length, 1);
  assert.deepEqual(await ipam.releaseAffinities({ node: "node1" }), []);
  await checkInvariants(datastore, { exact: true });
  assert.equal((await datastore.list("IPAMBlock")).items.length, 2);
  await ipam.releaseByHandle("a");
  assert.deepEqual((await datastore.list("IPAMBlock")).items, []);
});

test("an emptied block goes back once its pool no longer selects the node", async () => {
  const zoned = pool("zoned", { cidr: "10.0.0.0/24", nodeSelector: 'zone == "a"' });
  const datastore = await cluster({ pools: [zoned], nodes: { node1: { zone: "a" } } });
  const ipam = ipamOn(datastore);
  await ipam.autoAssign({ ...pod("a"), num4: 1 });
  const node = await datastore.get({ kind: "Node", name: "node1" });
  await datastore.update<"Node">({ ...node, metadata: { ...node.metadata, labels: {} } });
  await ipam.releaseByHandle("a");
  assert.deepEqual((await datastore.list("BlockAffinity")).items, []);
});

test("an object marked deleted counts as absent, and its deletion is finished", async () => {
  const datastore = await cluster();
  const ipam = ipamOn(datastore);
  await ipam.autoAssign({ ...pod("a"), num4: 1 });
  await ipam.releaseByHandle("a");
  const [block] = (await datastore.list("IPAMBlock")).items;
  assert.ok(block !== undefined);
  await datastore.update<"IPAMBlock">({ ...block, spec: { ...block.spec, deleted: true } });
  const [assigned] = await ipam.autoAssign({ ...pod("b"), num4: 1 });
  assert.equal(assigned?.block, block.spec.cidr);
  await checkInvariants(datastore, { exact: true });
});

test("utilization() counts pools, and blocks that lie in no pool", async () => {
  const datastore = await cluster({ pools: [v4] });
  const ipam = ipamOn(datastore);
  await ipam.autoAssign({ ...pod("a"), num4: 3 });
  const [used] = await ipam.utilization();
  assert.deepEqual(
    [used?.pool, used?.capacity, used?.inUse, used?.available, used?.blocks.length],
    ["v4", 256n, 3, 253n, 1],
  );
  await datastore.delete({ kind: "IPPool", name: "v4" });
  const [orphans] = await ipam.utilization();
  assert.deepEqual([orphans?.pool, orphans?.capacity, orphans?.inUse], [undefined, 16n, 3]);
});

describe("IPReservations", () => {
  const reserve = (datastore: FakeDatastore, ...reservedCIDRs: string[]) =>
    datastore.create<"IPReservation">({
      apiVersion: calicoApiVersion,
      kind: "IPReservation",
      metadata: { name: `r${reservedCIDRs.length}` },
      spec: { reservedCIDRs },
    });

  test("their addresses are given only to who asks for one by name", async () => {
    const small = pool("small", { cidr: "10.9.0.0/28", blockSize: 29 });
    const datastore = await cluster({ pools: [small] });
    await reserve(datastore, "10.9.0.0/29", "10.9.0.1/32", "10.9.0.8/31");
    const ipam = ipamOn(datastore);
    const assigned = await ipam.autoAssign({ ...pod("a"), num4: 6 });
    assert.deepEqual(
      assigned.map(({ address }) => address).sort(),
      [10, 11, 12, 13, 14, 15].map((last) => `10.9.0.${last}`),
    );
    assert.equal((await datastore.list("IPAMBlock")).items.length, 1, "no wholly reserved block");
    await assert.rejects(
      ipam.autoAssign({ ...pod("b"), num4: 1 }),
      failsWith("pool-exhausted", /6 of 16 in use, 10 reserved/),
    );
    const address = parseIpAddr("10.9.0.3");
    assert.equal((await ipam.assignIp({ ...pod("c"), address })).address, address);
    const [used] = await ipam.utilization();
    assert.deepEqual([used?.inUse, used?.reserved, used?.available], [7, 10n, 0n]);
    await checkInvariants(datastore, { exact: true });
  });

  test("who has an address keeps it", async () => {
    const datastore = await cluster();
    const ipam = ipamOn(datastore);
    await ipam.autoAssign({ ...pod("a"), num4: 1 });
    await reserve(datastore, "10.0.0.0/24");
    assert.equal((await inUse(datastore)).size, 1);
    const [used] = await ipam.utilization();
    assert.deepEqual([used?.reserved, used?.available], [256n, 0n]);
    await ipam.releaseByHandle("a");
    assert.equal((await inUse(datastore)).size, 0);
  });
});
