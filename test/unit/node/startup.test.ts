import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { calicoApiVersion } from "../../../src/api/meta.ts";
import { type Datastore, DatastoreError } from "../../../src/datastore/datastore.ts";
import type { KernelAddress, KernelLink } from "../../../src/kernel/kernel.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { createLogger } from "../../../src/lib/log.ts";
import { parseInterfaceAddress } from "../../../src/lib/prefix.ts";
import { refreshNode, runStartup, type StartupPorts } from "../../../src/node/startup.ts";
import { clusterInformation } from "../../states/resources.ts";
import { FakeDatastore } from "../ipam/fake-datastore.ts";

const folder = mkdtempSync(join(tmpdir(), "tortie-startup-"));
after(() => rmSync(folder, { recursive: true }));
const nodenameFile = join(folder, "lib", "nodename");
const env = {
  NODENAME: "node1",
  IP: "autodetect",
  CALICO_NODENAME_FILE: nodenameFile,
  CLUSTER_TYPE: "lab,bgp",
};
const never = new AbortController().signal;

/** The one interface of a host; `address` can be changed while a test runs. */
function host(address: string): { address: string; kernel: StartupPorts["kernel"] } {
  const state = {
    address,
    kernel: {
      links: {
        list: async () => [{ ifindex: 2, name: "eth0", up: true, mtu: 1500 } as KernelLink],
      },
      addresses: {
        list: async () => [
          {
            ifindex: 2,
            ...parseInterfaceAddress(state.address),
            scope: "universe",
          } as KernelAddress,
        ],
      },
    } as unknown as StartupPorts["kernel"],
  };
  return state;
}

function ports(datastore: Datastore, address = "192.0.2.11/24"): StartupPorts {
  return {
    datastore,
    kernel: host(address).kernel,
    clock: systemClock,
    log: createLogger({ name: "test", level: "silent" }),
    random: (count) => new Uint8Array(count).fill(7),
    version: "v0.1.0",
    ipv6: false,
  };
}

test("runStartup() makes a node of an empty datastore", async () => {
  const datastore = new FakeDatastore();
  assert.equal(await runStartup({ ...env, AS: "64600" }, ports(datastore), never), "node1");
  assert.equal(readFileSync(nodenameFile, "utf8"), "node1");
  const { spec } = await datastore.get({ kind: "Node", name: "node1" });
  assert.deepEqual(spec, {
    bgp: { ipv4Address: "192.0.2.11/24", asNumber: 64600 },
    addresses: [{ address: "192.0.2.11/24", type: "CalicoNodeIP" }],
    interfaces: [{ name: "eth0", addresses: ["192.0.2.11/24"] }],
  });
  const cluster = await datastore.get({ kind: "ClusterInformation", name: "default" });
  assert.deepEqual(cluster.spec, {
    clusterGUID: "07".repeat(16),
    clusterType: "lab,bgp",
    calicoVersion: "v0.1.0",
    datastoreReady: true,
  });
  const names = async (kind: "Tier" | "IPPool" | "FelixConfiguration") =>
    (await datastore.list(kind)).items.map(({ metadata }) => metadata.name);
  assert.deepEqual(await names("Tier"), ["default", "kube-admin", "kube-baseline"]);
  assert.deepEqual(await names("IPPool"), ["default-ipv4-ippool"]);
  assert.deepEqual(await names("FelixConfiguration"), ["default"]);
});

test("runStartup() on a locked datastore writes the Node, and makes up nothing", async () => {
  const datastore = new FakeDatastore();
  await datastore.create(clusterInformation(false));
  await runStartup(env, ports(datastore), never);
  assert.equal((await datastore.list("Node")).items.length, 1);
  assert.deepEqual((await datastore.list("IPPool")).items, []);
  assert.deepEqual((await datastore.list("Tier")).items, []);
});

test("runStartup() again writes nothing, and keeps what others wrote on the Node", async () => {
  const datastore = new FakeDatastore();
  await runStartup(env, ports(datastore), never);
  const node = await datastore.get({ kind: "Node", name: "node1" });
  const spec = { ...node.spec, ipv4VXLANTunnelAddr: "192.168.0.1" };
  await datastore.update<"Node">({ ...node, spec });
  const { writes } = datastore;
  await runStartup(env, ports(datastore), never);
  assert.equal(datastore.writes, writes);
  await runStartup(env, ports(datastore, "192.0.2.12/24"), never);
  const moved = await datastore.get({ kind: "Node", name: "node1" });
  assert.equal(moved.spec.ipv4VXLANTunnelAddr, "192.168.0.1");
  assert.equal(moved.spec.bgp?.ipv4Address, "192.0.2.12/24");
});

test("runStartup() refuses an address that another node has, and writes no Node", async () => {
  const datastore = new FakeDatastore();
  await runStartup({ ...env, NODENAME: "node0" }, ports(datastore), never);
  await assert.rejects(
    runStartup(env, ports(datastore), never),
    /Cannot use 192\.0\.2\.11 as the address of node node1: node node0 has it/,
  );
  assert.equal((await datastore.list("Node")).items.length, 1);
  await runStartup({ ...env, DISABLE_NODE_IP_CHECK: "true" }, ports(datastore), never);
});

test("refreshNode() follows a changed address, and keeps the old one when none is found", async () => {
  const datastore = new FakeDatastore();
  const changing = host("192.0.2.11/24");
  const own = { ...ports(datastore), kernel: changing.kernel };
  await runStartup(env, own, never);
  changing.address = "192.0.2.99/24";
  await refreshNode(env, "node1", own);
  changing.address = "169.254.0.1/16";
  await assert.rejects(refreshNode(env, "node1", own), /Cannot detect the node's IPv4 address/);
  const { spec } = await datastore.get({ kind: "Node", name: "node1" });
  assert.equal(spec.bgp?.ipv4Address, "192.0.2.99/24");
});

test("runStartup() waits for the datastore only with WAIT_FOR_DATASTORE=true", async () => {
  let failures = 2;
  const datastore = new FakeDatastore();
  const get = datastore.get.bind(datastore);
  datastore.get = async (key) => {
    if (failures-- > 0) throw new DatastoreError("Cannot reach it", { code: "unavailable" });
    return await get(key);
  };
  const clock = { ...systemClock, sleep: async () => undefined };
  await assert.rejects(runStartup(env, { ...ports(datastore), clock }, never), /Cannot reach it/);
  await runStartup({ ...env, WAIT_FOR_DATASTORE: "true" }, { ...ports(datastore), clock }, never);
});

const refused: readonly [variable: string, value: string][] = [
  ["NODENAME", "Node_1"],
  ["AS", "5000000000"],
  ["IP", "192.0.2"],
  ["IP", "fd00::1"],
  ["IP_AUTODETECTION_METHOD", "kubernetes-internal-ip"],
  ["CALICO_ROUTER_ID", "fd00::1"],
  ["WAIT_FOR_DATASTORE", "perhaps"],
];
for (const [variable, value] of refused) {
  test(`runStartup() refuses ${variable}=${value} and writes no Node`, async () => {
    const datastore = new FakeDatastore();
    await assert.rejects(
      runStartup({ ...env, [variable]: value }, ports(datastore), never),
      (error: Error) => error.message.includes(value),
    );
    assert.deepEqual((await datastore.list("Node")).items, []);
  });
}

test("an explicit IP without length takes the length of the interface that has it", async () => {
  const datastore = new FakeDatastore();
  await runStartup({ ...env, IP: "192.0.2.11" }, ports(datastore), never);
  const { spec } = await datastore.get({ kind: "Node", name: "node1" });
  assert.equal(spec.bgp?.ipv4Address, "192.0.2.11/24");
});

test("orchRefs name the Kubernetes node when asked to", async () => {
  const datastore = new FakeDatastore();
  await datastore.create<"Node">({
    apiVersion: calicoApiVersion,
    kind: "Node",
    metadata: { name: "node1", labels: { zone: "a" } },
    spec: {},
  });
  await runStartup({ ...env, CALICO_K8S_NODE_REF: "k1" }, ports(datastore), never);
  const node = await datastore.get({ kind: "Node", name: "node1" });
  assert.deepEqual(node.spec.orchRefs, [{ nodeName: "k1", orchestrator: "k8s" }]);
  assert.deepEqual(node.metadata.labels, { zone: "a" });
});
