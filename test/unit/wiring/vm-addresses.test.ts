import assert from "node:assert/strict";
import { test } from "node:test";
import type { AddCall } from "../../../src/cni/call.ts";
import { CniError } from "../../../src/cni/cni-error.ts";
import { identityOf } from "../../../src/cni/endpoint.ts";
import type {
  MachineState,
  PodMachine,
  VirtualMachines,
} from "../../../src/datastore/virtual-machines.ts";
import { machineHandle, machineOf } from "../../../src/ipam/vm-handle.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { ipamAddresses } from "../../../src/wiring/cni-addresses.ts";
import { parseAdd } from "../../support/cni-call.ts";
import { checkInvariants, createCluster, inUse, ipamOn, pool } from "../ipam/cluster.ts";
import { FakeDatastore } from "../ipam/fake-datastore.ts";

/** Facts 3.12. */

const pools = [
  pool("v4", { cidr: "10.0.0.0/24", blockSize: 28 }),
  pool("v6", { cidr: "fd00::/112" }),
];
const dual = { ipam: { type: "calico-ipam", assign_ipv6: "true" } };
const handle = "net.vmi.shop.db";

class Machines extends FakeDatastore {
  readonly pods: Map<string, Partial<PodMachine>> = new Map();
  state: MachineState = "there";
  readonly virtualMachines: VirtualMachines = {
    ofPod: async ({ namespace, name }) => {
      const machine = this.pods.get(name);
      return machine && { namespace, name: "db", instanceUid: "i1", ...machine };
    },
    stateOf: async () => this.state,
  };
}

async function machines(persistence?: "Enabled" | "Disabled") {
  const datastore = new Machines();
  const config = persistence && { kubeVirtVMAddressPersistence: persistence };
  await createCluster(datastore, { pools, ...(config === undefined ? {} : { config }) });
  const ipam = ipamOn(datastore);
  const on = (node: string) =>
    ipamAddresses(ipam, { nodeName: node, datastore, clock: systemClock });
  const add = (pod: string, node: string, machine: Partial<PodMachine> | null = {}) => {
    if (machine !== null) datastore.pods.set(pod, machine);
    const call = callOf(pod);
    return on(node).assign(call, identityOf(call, node));
  };
  const remove = async (pod: string, node: string) => {
    const call = callOf(pod);
    const identity = identityOf(call, node);
    await on(node).release(identity.handle);
    await on(node).leave(call, identity);
  };
  const owners = async () =>
    (await ipam.allocations()).map((each) => each.attributes["pod"] ?? "nobody");
  return { datastore, ipam, on, add, remove, owners };
}

function callOf(pod: string, config: object = dual): AddCall {
  const variables = {
    CNI_COMMAND: "ADD",
    CNI_CONTAINERID: `c-${pod}`,
    CNI_IFNAME: "eth0",
    CNI_ARGS: `K8S_POD_NAMESPACE=shop;K8S_POD_NAME=${pod}`,
  };
  return parseAdd({
    variables,
    stdin: JSON.stringify({ cniVersion: "1.0.0", name: "net", ...config }),
  });
}

test("a machine has the same addresses in each of its pods, on whichever node", async () => {
  const { datastore, ipam, on, add, remove, owners } = await machines();
  const first = await add("virt-launcher-db-a", "node1", { machineUid: "m1" });
  assert.equal(first.length, 2);
  const holder = await ipam.holderOf(first[0] ?? assert.fail());
  assert.equal(holder?.handle, handle);
  const { timestamp: _, ...attributes } = holder.attributes;
  assert.deepEqual(attributes, {
    namespace: "shop",
    node: "node1",
    pod: "virt-launcher-db-a",
    "vmi-name": "db",
    "vmi-uid": "i1",
    "vm-uid": "m1",
  });
  assert.deepEqual(await on("node1").holders("net"), [], "its handle is no container's");
  const call = callOf("virt-launcher-db-a");
  assert.equal(await on("node1").holds(call, identityOf(call, "node1")), true);
  await remove("virt-launcher-db-a", "node1");
  assert.deepEqual(await owners(), ["nobody", "nobody"]);
  assert.equal(await on("node1").holds(call, identityOf(call, "node1")), false);
  assert.deepEqual(await add("virt-launcher-db-b", "node2"), first);
  await remove("virt-launcher-db-a", "node1");
  assert.deepEqual(await owners(), ["virt-launcher-db-b", "virt-launcher-db-b"]);
  await checkInvariants(datastore, { exact: true });
});

test("the last pod's DEL releases what a machine has that is being deleted, or gone", async () => {
  for (const state of ["ending", "gone", "unknown"] as const) {
    const { datastore, add, remove } = await machines();
    await add("virt-launcher-db-a", "node1");
    await add("virt-launcher-db-b", "node2");
    datastore.state = state;
    await remove("virt-launcher-db-a", "node1");
    assert.equal((await inUse(datastore)).size, 2, "another pod has them");
    await remove("virt-launcher-db-b", "node2");
    assert.equal((await inUse(datastore)).size, state === "unknown" ? 2 : 0, state);
    await checkInvariants(datastore, { exact: true });
  }
});

test("DEL goes by what ADD stored, whatever the configuration is by then", async () => {
  const { datastore, add, remove } = await machines("Enabled");
  await add("virt-launcher-db-a", "node1");
  const stored = await datastore.get({ kind: "IPAMConfiguration", name: "default" });
  await datastore.update<"IPAMConfiguration">({
    ...stored,
    spec: { kubeVirtVMAddressPersistence: "Disabled" },
  });
  datastore.state = "gone";
  datastore.pods.clear();
  await remove("virt-launcher-db-a", "node1");
  assert.equal((await inUse(datastore)).size, 0);
});

test("with persistence Disabled a machine's pod is as any other", async () => {
  const { datastore, add, remove } = await machines("Disabled");
  await add("virt-launcher-db-a", "node1");
  assert.deepEqual(
    new Set((await inUse(datastore)).values()),
    new Set(["net.c-virt-launcher-db-a"]),
  );
  await remove("virt-launcher-db-a", "node1");
  assert.equal((await inUse(datastore)).size, 0);
});

test("a pod that has the name of a machine's and no machine is as any other", async () => {
  const { datastore, add } = await machines();
  await add("virt-launcher-mine", "node1", null);
  assert.deepEqual(
    new Set((await inUse(datastore)).values()),
    new Set(["net.c-virt-launcher-mine"]),
  );
});

test("the pod that a machine is to move to is refused, and the source keeps its addresses", async () => {
  const target = { migrationUid: "g1" };
  const refused = (why: RegExp) => (error: unknown) => {
    assert.ok(error instanceof CniError);
    assert.match(error.message, why);
    return error.cniCode === 101;
  };
  const { datastore, add, remove, owners } = await machines();
  await add("virt-launcher-db-a", "node1");
  const move = add("virt-launcher-db-b", "node2", target);
  await assert.rejects(move, refused(/shop\/db .*live migration is not supported yet/));
  await remove("virt-launcher-db-b", "node2");
  assert.deepEqual(await owners(), ["virt-launcher-db-a", "virt-launcher-db-a"]);
  await checkInvariants(datastore, { exact: true });
  const off = await machines("Disabled");
  const other = off.add("virt-launcher-db-b", "node2", target);
  await assert.rejects(other, refused(/kubeVirtVMAddressPersistence is Disabled/));
  assert.equal((await inUse(off.datastore)).size, 0);
});

test("a pod that came by a migration long ago gets its addresses again", async () => {
  const { add } = await machines();
  const first = await add("virt-launcher-db-a", "node1");
  assert.deepEqual(await add("virt-launcher-db-a", "node1", { migrationUid: "g1" }), first);
});

test("ipAddrs: a machine without addresses gets these, one that has some keeps them", async () => {
  const { datastore, on, add } = await machines();
  const asked = (pod: string, ...addresses: string[]) => {
    datastore.pods.set(pod, {});
    const annotations = { "cni.projectcalico.org/ipAddrs": JSON.stringify(addresses) };
    const runtimeConfig = { "io.kubernetes.cri.pod-annotations": annotations };
    const call = callOf(pod, { ...dual, runtimeConfig });
    return on("node1").assign(call, identityOf(call, "node1"));
  };
  assert.deepEqual(await asked("virt-launcher-db-a", "10.0.0.77"), ["10.0.0.77"]);
  assert.deepEqual(await asked("virt-launcher-db-b", "10.0.0.78"), ["10.0.0.77"]);
  const [v4, v6] = await add("virt-launcher-db-c", "node1");
  assert.equal(v4, "10.0.0.77");
  assert.match(String(v6), /^fd00::/);
  await checkInvariants(datastore, { exact: true });
});

test("machineHandle(): names, or a hash of what is longer than 128 characters", () => {
  const machine = { namespace: "shop", name: "db.one" };
  assert.equal(machineHandle("net", machine), "net.vmi.shop.db.one");
  const longest = { namespace: "n".repeat(60), name: "m".repeat(59) };
  assert.equal(machineHandle("net", longest).length, 128);
  assert.ok(machineHandle("net", longest).endsWith("m"));
  const hashed = machineHandle("net", { ...longest, name: "m".repeat(60) });
  assert.match(hashed, /^net\.vmi\._[A-Za-z0-9_-]{43}$/);
  const ofHandle = (handle: string) => machineOf({ handle, attributes: {} });
  assert.deepEqual(ofHandle(machineHandle("net", machine)), machine);
  assert.equal(ofHandle(hashed), undefined);
  assert.equal(ofHandle("net.0123abcd"), undefined);
  const attributes = { pod: "web", namespace: "shop" };
  assert.equal(machineOf({ handle: "a.vmi.b.c", attributes }), undefined, "a pod's");
});
