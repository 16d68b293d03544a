import assert from "node:assert/strict";
import { test } from "node:test";
import { calicoApiVersion } from "../../../src/api/meta.ts";
import type { IPPoolSpec } from "../../../src/api/resources/ip-pool.ts";
import type { NodeStatus } from "../../../src/api/resources/node.ts";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { createLogger } from "../../../src/lib/log.ts";
import { storedInputs } from "../../../src/node/stored-inputs.ts";
import { reconcileTunnelAddresses } from "../../../src/node/tunnel-addresses.ts";
import { earlierDebtsMs, TunnelDebts } from "../../../src/node/tunnel-debts.ts";
import { lingerMs, TunnelLinger } from "../../../src/node/tunnel-linger.ts";
import { clusterInformation } from "../../states/resources.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { checkInvariants, createCluster, inUse, ipamOn, pool } from "../ipam/cluster.ts";
import { FakeDatastore } from "../ipam/fake-datastore.ts";

const log = createLogger({ name: "test", level: "silent" });

async function cluster(...specs: IPPoolSpec[]): Promise<FakeDatastore> {
  const datastore = new FakeDatastore();
  const pools = specs.map((spec, i) => pool(`pool${i}`, spec));
  await createCluster(datastore, { pools, nodes: { node1: {}, node2: {} } });
  return datastore;
}

async function reconcile(datastore: FakeDatastore, node = "node1"): Promise<void> {
  const stored = await storedInputs(datastore);
  await reconcileTunnelAddresses(node, stored, {
    datastore,
    ipam: ipamOn(datastore),
    log,
    env: {},
  });
}

/** A tunnel that nobody calls for stays for a while; `pass` lets time pass. */
function lingering(datastore: FakeDatastore) {
  const clock = new FakeClock();
  const linger = new TunnelLinger(clock);
  const ports = { datastore, ipam: ipamOn(datastore), log, env: {}, linger };
  const run = async () => reconcileTunnelAddresses("node1", await storedInputs(datastore), ports);
  return { linger, run, pass: (ms: number) => clock.advance(ms) };
}

async function nodeSpec(datastore: FakeDatastore, name = "node1") {
  return (await datastore.get({ kind: "Node", name })).spec;
}

async function changePool(datastore: FakeDatastore, name: string, change: Partial<IPPoolSpec>) {
  const present = await datastore.get({ kind: "IPPool", name });
  await datastore.update<"IPPool">({ ...present, spec: { ...present.spec, ...change } });
}

test("a pool of the UDP tunnel gives its address as one of VXLAN does", async () => {
  const datastore = await cluster({ cidr: "10.1.0.0/24" });
  const present = await datastore.get({ kind: "IPPool", name: "pool0" });
  const annotations = { "tortie.dev/encapsulation": "UDP" };
  await datastore.update<"IPPool">({
    ...present,
    metadata: { ...present.metadata, annotations },
  });
  await reconcile(datastore);
  assert.match((await nodeSpec(datastore)).ipv4VXLANTunnelAddr ?? "", /^10\.1\.0\./);
});

test("each encapsulation that a pool uses has an address, from that pool", async () => {
  const datastore = await cluster(
    { cidr: "10.1.0.0/24", vxlanMode: "Always" },
    { cidr: "10.2.0.0/24", ipipMode: "CrossSubnet" },
    { cidr: "fd00::/112", vxlanMode: "Always" },
  );
  await reconcile(datastore);
  const spec = await nodeSpec(datastore);
  assert.match(spec.ipv4VXLANTunnelAddr ?? "", /^10\.1\.0\./);
  assert.match(spec.bgp?.ipv4IPIPTunnelAddr ?? "", /^10\.2\.0\./);
  assert.match(spec.ipv6VXLANTunnelAddr ?? "", /^fd00::/);
  const holder = await ipamOn(datastore).holderOf(parseIpAddr(spec.ipv4VXLANTunnelAddr ?? ""));
  assert.equal(holder?.handle, "vxlan-tunnel-addr-node1");
  assert.deepEqual(holder?.attributes, { node: "node1", type: "vxlanTunnelAddress" });
});

/** Felix publishes the key of the device that it made. */
async function publishKeys(datastore: FakeDatastore, status: NodeStatus): Promise<void> {
  const node = await datastore.get({ kind: "Node", name: "node1" });
  await datastore.update<"Node">({ ...node, status });
}

async function configureFelix(datastore: FakeDatastore, spec: object, name = "default") {
  const metadata = { name };
  const configuration = { apiVersion: calicoApiVersion, kind: "FelixConfiguration" } as const;
  await datastore.create<"FelixConfiguration">({ ...configuration, metadata, spec: { ...spec } });
}

test("all five kinds of tunnel have an address of their own, with Calico's handles and types", async () => {
  const datastore = await cluster(
    { cidr: "10.1.0.0/24", vxlanMode: "Always" },
    { cidr: "10.2.0.0/24", ipipMode: "Always" },
    { cidr: "fd00::/112", vxlanMode: "CrossSubnet" },
  );
  await configureFelix(datastore, { wireguardEnabled: true, wireguardEnabledV6: true });
  await publishKeys(datastore, { wireguardPublicKey: "k4", wireguardPublicKeyV6: "k6" });
  await reconcile(datastore);
  const spec = await nodeSpec(datastore);
  const expected = [
    [spec.bgp?.ipv4IPIPTunnelAddr, "ipip-tunnel-addr-node1", "ipipTunnelAddress"],
    [spec.ipv4VXLANTunnelAddr, "vxlan-tunnel-addr-node1", "vxlanTunnelAddress"],
    [spec.ipv6VXLANTunnelAddr, "vxlan-v6-tunnel-addr-node1", "vxlanV6TunnelAddress"],
    [spec.wireguard?.interfaceIPv4Address, "wireguard-tunnel-addr-node1", "wireguardTunnelAddress"],
    [
      spec.wireguard?.interfaceIPv6Address,
      "wireguard-v6-tunnel-addr-node1",
      "wireguardV6TunnelAddress",
    ],
  ] as const;
  const ipam = ipamOn(datastore);
  for (const [address, handle, type] of expected) {
    const holder = await ipam.holderOf(parseIpAddr(address ?? ""));
    assert.equal(holder?.handle, handle);
    assert.deepEqual(holder?.attributes, { node: "node1", type });
  }
  assert.equal(new Set(expected.map(([address]) => address)).size, 5);
  await checkInvariants(datastore, { exact: true });
});

test("WireGuard has an address while it is enabled and the node has a key, from any pool", async () => {
  const datastore = await cluster({ cidr: "10.1.0.0/24" });
  const address = async () => (await nodeSpec(datastore)).wireguard?.interfaceIPv4Address;
  await configureFelix(datastore, { wireguardEnabled: true });
  await reconcile(datastore);
  assert.equal(await address(), undefined);
  await publishKeys(datastore, { wireguardPublicKey: "k4" });
  await reconcile(datastore);
  assert.match((await address()) ?? "", /^10\.1\.0\./);
  await configureFelix(datastore, { wireguardEnabled: false }, "node.node1");
  await reconcile(datastore);
  assert.ok(!("wireguard" in (await nodeSpec(datastore))));
  assert.equal((await inUse(datastore)).size, 0);
  const env = { FELIX_WIREGUARDENABLED: "true" };
  const stored = await storedInputs(datastore);
  const ipam = ipamOn(datastore);
  await reconcileTunnelAddresses("node1", stored, { datastore, ipam, log, env });
  assert.match((await address()) ?? "", /^10\.1\.0\./);
});

test("a locked datastore gives no address, and loses none", async () => {
  const datastore = await cluster({ cidr: "10.1.0.0/24", vxlanMode: "Always" });
  const info = await datastore.create<"ClusterInformation">(clusterInformation(false));
  await reconcile(datastore);
  assert.equal((await inUse(datastore)).size, 0);
  await datastore.update<"ClusterInformation">({ ...info, spec: { datastoreReady: true } });
  await reconcile(datastore);
  assert.equal((await inUse(datastore)).size, 1);
});

test("a second run keeps the addresses and writes nothing", async () => {
  const datastore = await cluster({ cidr: "10.1.0.0/24", vxlanMode: "Always" });
  await reconcile(datastore);
  const { writes } = datastore;
  await reconcile(datastore);
  assert.equal(datastore.writes, writes);
});

test("without encapsulation the address is released and its field is removed", async () => {
  const datastore = await cluster({ cidr: "10.1.0.0/24", vxlanMode: "Always" });
  await reconcile(datastore);
  await changePool(datastore, "pool0", { vxlanMode: "Never" });
  await reconcile(datastore);
  assert.ok(!("ipv4VXLANTunnelAddr" in (await nodeSpec(datastore))));
  assert.equal((await inUse(datastore)).size, 0);
  await checkInvariants(datastore, { exact: true });
});

test("an address of a pool that no longer counts is replaced", async () => {
  const datastore = await cluster(
    { cidr: "10.1.0.0/24", vxlanMode: "Always" },
    { cidr: "10.2.0.0/24", vxlanMode: "Always" },
  );
  await reconcile(datastore);
  await changePool(datastore, "pool0", { disabled: true });
  await reconcile(datastore);
  assert.match((await nodeSpec(datastore)).ipv4VXLANTunnelAddr ?? "", /^10\.2\.0\./);
  assert.equal((await inUse(datastore)).size, 1);
});

for (const [what, change] of [
  ["disabled", { disabled: true }],
  ["for other nodes", { nodeSelector: "name == 'another'" }],
] as const) {
  test(`the pods of a pool that is ${what} keep their tunnel, until it has none`, async () => {
    const datastore = await cluster({ cidr: "fd00::/112", vxlanMode: "Always" });
    await reconcile(datastore);
    const { ipv6VXLANTunnelAddr: address } = await nodeSpec(datastore);
    assert.ok(address);
    await changePool(datastore, "pool0", change);
    await reconcile(datastore);
    assert.equal((await nodeSpec(datastore)).ipv6VXLANTunnelAddr, address);
    await reconcile(datastore, "node2");
    assert.ok(!("ipv6VXLANTunnelAddr" in (await nodeSpec(datastore, "node2"))));
    await changePool(datastore, "pool0", { vxlanMode: "Never" });
    await reconcile(datastore);
    assert.ok(!("ipv6VXLANTunnelAddr" in (await nodeSpec(datastore))));
    assert.equal((await inUse(datastore)).size, 0);
  });
}

test("an address that somebody else has, or nobody, is replaced", async () => {
  const datastore = await cluster({ cidr: "10.1.0.0/24", vxlanMode: "Always" });
  const ipam = ipamOn(datastore);
  await ipam.assignIp({
    address: parseIpAddr("10.1.0.9"),
    node: "node2",
    handle: "pod",
    attributes: {},
  });
  for (const address of ["10.1.0.9", "10.1.0.77", "nonsense"]) {
    const node = await datastore.get({ kind: "Node", name: "node1" });
    const spec = { ...node.spec, ipv4VXLANTunnelAddr: address };
    await datastore.update<"Node">({ ...node, spec });
    await reconcile(datastore);
    const after = (await nodeSpec(datastore)).ipv4VXLANTunnelAddr ?? "";
    assert.notEqual(after, address);
    assert.equal((await ipam.holderOf(parseIpAddr(after)))?.handle, "vxlan-tunnel-addr-node1");
  }
  assert.equal((await inUse(datastore)).size, 2);
});

test("an address that a crash left without a Node field is released at the next run", async () => {
  const datastore = await cluster({ cidr: "10.1.0.0/24", vxlanMode: "Always" });
  let crashed = false;
  const dying = new FakeDatastore(
    {
      before: (_op, key) => {
        if (key.kind === "Node") crashed = true;
        if (crashed) throw new Error("crash");
      },
    },
    datastore,
  );
  await assert.rejects(reconcile(dying), /crash/);
  assert.equal((await inUse(datastore)).size, 1);
  await reconcile(datastore);
  assert.equal((await inUse(datastore)).size, 1);
  await checkInvariants(datastore, { exact: true });
});

test("one kind that fails does not keep the others from their address", async () => {
  const datastore = await cluster(
    { cidr: "10.1.0.0/32", blockSize: 32, ipipMode: "Always", nodeSelector: "all()" },
    { cidr: "10.2.0.0/24", vxlanMode: "Always" },
  );
  await reconcile(datastore, "node2");
  await assert.rejects(reconcile(datastore), /Cannot assign 1 IPv4 address to node1/);
  assert.match((await nodeSpec(datastore)).ipv4VXLANTunnelAddr ?? "", /^10\.2\.0\./);
});

test("facts 2.8: WireGuard is as the configuration says that selects the node by its labels", async () => {
  const datastore = await cluster({ cidr: "10.1.0.0/24" });
  const node = await datastore.get({ kind: "Node", name: "node1" });
  const labels = { rack: "a" };
  await datastore.update<"Node">({ ...node, metadata: { ...node.metadata, labels } });
  await publishKeys(datastore, { wireguardPublicKey: "k4" });
  await configureFelix(datastore, { wireguardEnabled: false });
  const selecting = { nodeSelector: "rack == 'a'", wireguardEnabled: true };
  await configureFelix(datastore, selecting, "rack-a");
  await reconcile(datastore);
  assert.notEqual((await nodeSpec(datastore)).wireguard?.interfaceIPv4Address, undefined);
});

test("other nodes get time to stop using a tunnel before its address is released", async () => {
  const datastore = await cluster({ cidr: "10.1.0.0/24", vxlanMode: "Always" });
  const { linger, run, pass } = lingering(datastore);
  await run();
  const address = (await nodeSpec(datastore)).ipv4VXLANTunnelAddr;
  assert.equal(linger.remainingMs, undefined);
  await changePool(datastore, "pool0", { vxlanMode: "Never" });
  await run();
  pass(lingerMs - 1);
  await run();
  assert.equal((await nodeSpec(datastore)).ipv4VXLANTunnelAddr, address);
  assert.equal(linger.remainingMs, 1);
  pass(1);
  await run();
  assert.ok(!("ipv4VXLANTunnelAddr" in (await nodeSpec(datastore))));
  assert.equal((await inUse(datastore)).size, 0);
  assert.equal(linger.remainingMs, undefined);
});

test("a tunnel that is called for again keeps its address, and the time begins anew", async () => {
  const datastore = await cluster({ cidr: "10.1.0.0/24", vxlanMode: "Always" });
  const { linger, run, pass } = lingering(datastore);
  await run();
  const address = (await nodeSpec(datastore)).ipv4VXLANTunnelAddr;
  for (const vxlanMode of ["Never", "CrossSubnet", "Never"] as const) {
    await changePool(datastore, "pool0", { vxlanMode });
    await run();
    pass(lingerMs - 1);
    await run();
    assert.equal((await nodeSpec(datastore)).ipv4VXLANTunnelAddr, address, vxlanMode);
  }
  assert.equal(linger.remainingMs, 1);
});

for (const who of ["this process", "an earlier one"] as const) {
  test(`an address that ${who} took from the Node only is released`, async () => {
    const datastore = await cluster({ cidr: "10.1.0.0/24", vxlanMode: "Always" });
    await reconcile(datastore);
    await changePool(datastore, "pool0", { vxlanMode: "Never" });
    let failing = false;
    const dying = new FakeDatastore(
      {
        before: (op, key) => {
          if (op === "update" && key.kind === "Node") failing = true;
          else if (failing) throw new Error("away");
        },
      },
      datastore,
    );
    const clock = new FakeClock();
    const run = async (store: FakeDatastore, debts: TunnelDebts) =>
      reconcileTunnelAddresses("node1", await storedInputs(datastore), {
        datastore: store,
        ipam: ipamOn(store),
        log,
        env: {},
        debts,
      });
    const debts = new TunnelDebts(clock);
    await assert.rejects(run(dying, debts), /away/);
    assert.ok(!("ipv4VXLANTunnelAddr" in (await nodeSpec(datastore))));
    assert.equal((await inUse(datastore)).size, 1);
    if (who === "this process") await run(datastore, debts);
    else {
      const next = new TunnelDebts(clock);
      await run(datastore, next);
      assert.equal((await inUse(datastore)).size, 1);
      clock.advance(earlierDebtsMs);
      await run(datastore, next);
    }
    assert.equal((await inUse(datastore)).size, 0);
    await checkInvariants(datastore, { exact: true });
  });
}

test("of tunnels that wait the first one's time is the time to look again", () => {
  const clock = new FakeClock();
  const linger = new TunnelLinger(clock);
  assert.equal(linger.isOver("vxlan"), false);
  clock.advance(3000);
  assert.equal(linger.isOver("ipip"), false);
  assert.equal(linger.remainingMs, lingerMs - 3000);
  linger.forget("vxlan");
  assert.equal(linger.remainingMs, lingerMs);
});

test("nothing is waited for while the datastore is locked", async () => {
  const datastore = await cluster({ cidr: "10.1.0.0/24", vxlanMode: "Always" });
  const { linger, run, pass } = lingering(datastore);
  await run();
  await changePool(datastore, "pool0", { vxlanMode: "Never" });
  await run();
  await setReady(datastore, false);
  pass(lingerMs);
  await run();
  assert.equal(linger.remainingMs, undefined);
  await setReady(datastore, true);
  await run();
  assert.equal(linger.remainingMs, lingerMs);
});

async function setReady(datastore: FakeDatastore, datastoreReady: boolean): Promise<void> {
  const present = await datastore.list("ClusterInformation");
  const [before] = present.items;
  if (before === undefined) {
    await datastore.create(clusterInformation(datastoreReady));
  } else {
    await datastore.update<"ClusterInformation">({ ...before, spec: { datastoreReady } });
  }
}
