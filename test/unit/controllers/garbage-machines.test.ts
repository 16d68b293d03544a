import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DatastoreError } from "../../../src/datastore/datastore.ts";
import type { MachineState } from "../../../src/datastore/virtual-machines.ts";
import { type Cluster, cluster } from "./garbage-cluster.ts";

/** Facts 3.10 and 3.12. */

const handle = "k8s-pod-network.vmi.default.db";
const attributes = { "vmi-name": "db", pod: "virt-launcher-db-a" };

/** Asks for a machine's state are counted; none: nobody may read it. */
function tell(it: Cluster, machine: { state?: MachineState }): { asked: number } {
  const counted = { asked: 0 };
  Object.assign(it.datastore, {
    virtualMachines: {
      stateOf: async () => {
        counted.asked++;
        if (machine.state !== undefined) return machine.state;
        const right = { verb: "get", resource: "virtualmachines.kubevirt.io" };
        throw new DatastoreError("Cannot get", { code: "forbidden", ...right });
      },
    },
  });
  return counted;
}

async function problems(it: Cluster): Promise<string[]> {
  return (await it.ipam.audit()).problems.map(({ kind }) => kind);
}

describe("addresses of virtual machines", () => {
  test("stay while the machine is there, and go when it has been gone for the grace period", async (t) => {
    const it = await cluster(t, "1m");
    const machine: { state: MachineState } = { state: "there" };
    tell(it, machine);
    const address = await it.assign("db", "node1", attributes, handle);
    await it.pass(30);
    assert.deepEqual(await it.addresses(), [address]);
    assert.deepEqual(await problems(it), []);
    machine.state = "ending";
    await it.pass(30);
    assert.deepEqual(await problems(it), []);
    machine.state = "gone";
    assert.deepEqual(await problems(it), ["leaked"]);
    await it.pass(4);
    assert.deepEqual(await it.addresses(), [address], "5 minutes at least");
    await it.pass(8);
    assert.deepEqual(await it.addresses(), []);
  });

  test("stay without a pod, and without a node, while the machine is there", async (t) => {
    const it = await cluster(t, "1m");
    const machine: { state: MachineState } = { state: "there" };
    tell(it, machine);
    const address = await it.assign("db", "node1", attributes, handle);
    const pod = { namespace: "default", pod: "virt-launcher-db-a" };
    await (await it.ipam.sharedHandle(handle)).leave(pod);
    await it.datastore.delete({ kind: "Node", name: "node1" });
    await it.pass(30);
    assert.deepEqual(await it.addresses(), [address]);
    machine.state = "gone";
    await it.pass(15);
    assert.deepEqual(await it.addresses(), [], "the handle says whose they are");
  });

  test("stay where nobody can say or may read whether the machine is there", async (t) => {
    for (const machine of [{ state: "unknown" as const }, {}]) {
      const it = await cluster(t, "1m");
      tell(it, machine);
      const address = await it.assign("db", "node1", attributes, handle);
      const leaked = await it.assign("b", "node1");
      await it.pass(30);
      assert.deepEqual(await it.addresses(), [address]);
      assert.notEqual(leaked, address);
      const [problem, ...others] = (await it.ipam.audit()).problems;
      assert.deepEqual(others, []);
      assert.ok(problem?.kind === "unclear");
      assert.match(problem.why, /default\/db/);
    }
  });

  test("stay when the machine is made anew just before the release", async (t) => {
    const it = await cluster(t, "1m");
    const machine: { state: MachineState } = { state: "gone" };
    tell(it, machine);
    const address = await it.assign("db", "node1", attributes, handle);
    it.datastore.beforeRelease = () => {
      machine.state = "there";
    };
    await it.pass(30);
    assert.deepEqual(await it.addresses(), [address]);
  });

  test("nobody asks for a machine whose pod has the address", async (t) => {
    const it = await cluster(t, "1m");
    const counted = tell(it, { state: "gone" });
    const address = await it.assign("db", "node1", attributes, handle);
    await it.addEndpoint("virt-launcher-db-a", "node1", address);
    await it.pass(30);
    assert.deepEqual([counted.asked, await it.addresses()], [0, [address]]);
  });
});
