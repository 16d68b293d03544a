import assert from "node:assert/strict";
import { test } from "node:test";
import { profilesOfNamespace } from "../../../src/api/kubernetes/namespace.ts";
import type { IPPool } from "../../../src/api/resources/ip-pool.ts";
import type { AddCall } from "../../../src/cni/call.ts";
import { CniError } from "../../../src/cni/cni-error.ts";
import { identityOf } from "../../../src/cni/endpoint.ts";
import { type Clock, systemClock } from "../../../src/lib/clock.ts";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { ipamAddresses } from "../../../src/wiring/cni-addresses.ts";
import { parseAdd } from "../../support/cni-call.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { checkInvariants, createCluster, inUse, ipamOn, pool } from "../ipam/cluster.ts";
import { FakeDatastore } from "../ipam/fake-datastore.ts";

/** Facts 3.8: from which pool a pod gets its addresses. */

const pools: readonly IPPool[] = [
  pool("usual", { cidr: "10.0.0.0/24", blockSize: 28 }),
  pool("conf", { cidr: "10.1.0.0/24", blockSize: 28, assignmentMode: "Manual" }),
  pool("space", { cidr: "10.2.0.0/24", blockSize: 28, assignmentMode: "Manual" }),
  pool("own", { cidr: "10.3.0.0/24", blockSize: 28, nodeSelector: "has(never)" }),
  pool("six", { cidr: "fd00::/112" }),
];

async function source(
  namespace: { annotations?: Record<string, string> } = {},
  all = pools,
  clock: Clock = systemClock,
) {
  const datastore = new FakeDatastore();
  await createCluster(datastore, { pools: all, nodes: { node1: {} } });
  const [profile] = profilesOfNamespace({ name: "shop", labels: { team: "red" }, ...namespace });
  await datastore.create<"Profile">(profile);
  const ipam = ipamOn(datastore);
  const addresses = ipamAddresses(ipam, { nodeName: "node1", datastore, clock });
  const assign = (call: AddCall) => addresses.assign(call, identityOf(call, "node1"));
  return { datastore, ipam, addresses, assign };
}

function call(config: object, annotations: Readonly<Record<string, string>> = {}): AddCall {
  const named = Object.entries(annotations).map(([name, text]) => [
    `cni.projectcalico.org/${name}`,
    text,
  ]);
  const runtimeConfig = { "io.kubernetes.cri.pod-annotations": Object.fromEntries(named) };
  const variables = {
    CNI_COMMAND: "ADD",
    CNI_CONTAINERID: "c1",
    CNI_IFNAME: "eth0",
    CNI_ARGS: "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0",
  };
  const stdin = JSON.stringify({ cniVersion: "1.0.0", name: "net", runtimeConfig, ...config });
  return parseAdd({ variables, stdin });
}

const ofConf = { ipam: { type: "calico-ipam", ipv4_pools: ["conf"] } };
const ofSpace = { annotations: { "cni.projectcalico.org/ipv4pools": '["10.2.0.0/24"]' } };

test("pools: the pod's annotation before the namespace's, that before the configuration", async () => {
  const own = { ipv4pools: '["own"]' };
  const [first] = await (await source(ofSpace)).assign(call(ofConf, own));
  assert.match(String(first), /^10\.3\./);
  const [second] = await (await source(ofSpace)).assign(call(ofConf));
  assert.match(String(second), /^10\.2\./);
  const [third] = await (await source()).assign(call(ofConf));
  assert.match(String(third), /^10\.1\./);
  const [fourth] = await (await source()).assign(call({}));
  assert.match(String(fourth), /^10\.0\./);
});

test("a namespace's labels decide about pools with a namespaceSelector", async () => {
  const selective = [
    pool("blue", { cidr: "10.5.0.0/24", namespaceSelector: "team == 'blue'" }),
    pool("red", { cidr: "10.6.0.0/24", namespaceSelector: "team == 'red'" }),
  ];
  const [address] = await (await source({}, selective)).assign(call({}));
  assert.match(String(address), /^10\.6\./);
});

test("ipAddrs: these addresses, of both families, or none of them", async () => {
  const { datastore, ipam, assign } = await source();
  const asked = { ipAddrs: '["10.0.0.77","fd00::77"]' };
  assert.deepEqual(await assign(call({}, asked)), ["10.0.0.77", "fd00::77"]);
  const holder = await ipam.holderOf(parseIpAddr("fd00::77"));
  assert.deepEqual(
    [holder?.handle, holder?.attributes["pod"], holder?.attributes["namespace"]],
    ["net.c1", "web-0", "shop"],
  );
  await ipam.releaseByHandle("net.c1");
  await ipam.assignIp({
    address: parseIpAddr("fd00::77"),
    node: "node1",
    handle: "other",
    attributes: {},
  });
  await assert.rejects(assign(call({}, asked)), (error) => {
    assert.ok(error instanceof CniError);
    assert.match(error.message, /fd00::77: handle "other" has it/);
    return error.cniCode === 101;
  });
  assert.deepEqual([...(await inUse(datastore)).values()], ["other"]);
  await checkInvariants(datastore, { exact: true });
});

test("ipAddrsNoIpam: IPAM is not asked", async () => {
  const { datastore, addresses, assign } = await source();
  const config = { feature_control: { ip_addrs_no_ipam: true } };
  const asked = call(config, { ipAddrsNoIpam: '["192.0.2.7"]' });
  const { writes } = datastore;
  assert.deepEqual(await assign(asked), ["192.0.2.7"]);
  assert.equal(datastore.writes, writes);
  await addresses.release("net.c1");
});

test("a namespace whose annotation cannot be read gives no address, and says why", async () => {
  const { datastore, assign } = await source({
    annotations: { "cni.projectcalico.org/ipv4pools": "own" },
  });
  await assert.rejects(assign(call({})), /cni\.projectcalico\.org\/ipv4pools: it must be a JSON/);
  assert.equal((await inUse(datastore)).size, 0);
});

test("shortage() says which pools are full, and nothing while one is not", async () => {
  const tiny = [pool("tiny", { cidr: "10.0.0.0/31", blockSize: 31 })];
  const { addresses, ipam } = await source({}, tiny);
  const { config } = call({});
  const assignTo = (handle: string) =>
    ipam.autoAssign({ node: "node1", use: "Workload", handle, num4: 1, num6: 0, attributes: {} });
  await assignTo("net.a");
  await assignTo("net.b");
  assert.match((await addresses.shortage(config)) ?? "", /tiny: 2 of 2 in use/);
  assert.match(
    (await addresses.shortage(call({ ipam: { ipv4_pools: ["none"] } }).config)) ?? "",
    /"none"/,
  );
  assert.equal(
    await addresses.shortage(call({ ipam: { assign_ipv4: "false" } }).config),
    undefined,
  );
  await ipam.releaseByHandle("net.b");
  assert.equal(await addresses.shortage(config), undefined);
});

test("shortage() is asked again after a minute, and at once while there is one", async () => {
  const clock = new FakeClock();
  const tiny = [pool("tiny", { cidr: "10.0.0.0/31", blockSize: 31 })];
  const { addresses, ipam } = await source({}, tiny, clock);
  const { config } = call({});
  const assignTo = (handle: string) =>
    ipam.autoAssign({ node: "node1", use: "Workload", handle, num4: 1, num6: 0, attributes: {} });
  assert.equal(await addresses.shortage(config), undefined);
  for (const handle of ["net.a", "net.b"]) await assignTo(handle);
  clock.advance(59_999);
  assert.equal(await addresses.shortage(config), undefined);
  clock.advance(1);
  assert.match((await addresses.shortage(config)) ?? "", /tiny/);
  await ipam.releaseByHandle("net.a");
  assert.equal(await addresses.shortage(config), undefined);
});

test("shortage() counts a pool that only some namespaces may use", async () => {
  const selective = [pool("blue", { cidr: "10.5.0.0/24", namespaceSelector: "team == 'blue'" })];
  const { addresses } = await source({}, selective);
  assert.equal(await addresses.shortage(call({}).config), undefined);
});

test("holders() are the containers of a network on this node, once each", async () => {
  const { addresses, assign, ipam } = await source();
  await assign(call({ ipam: { assign_ipv6: "true" } }));
  const taken = { use: "Workload", num4: 1, num6: 0 } as const;
  await ipam.autoAssign({
    ...taken,
    node: "node1",
    handle: "other.c2",
    attributes: { node: "node1" },
  });
  await ipam.autoAssign({
    ...taken,
    node: "node2",
    handle: "net.c3",
    attributes: { node: "node2" },
  });
  // Of the network "net.b", which has a list of its own.
  await ipam.autoAssign({
    ...taken,
    node: "node1",
    handle: "net.b.c4",
    attributes: { node: "node1" },
  });
  const holders = await addresses.holders("net");
  assert.deepEqual(
    holders.map(({ addresses: given, ...holder }) => ({ ...holder, given: given.length })),
    [{ handle: "net.c1", containerId: "c1", namespace: "shop", given: 2 }],
  );
  const holds = (containerId: string) => {
    const other = { ...call({}), containerId };
    return addresses.holds(other, identityOf(other, "node1"));
  };
  assert.deepEqual([await holds("c1"), await holds("c9")], [true, false]);
});
