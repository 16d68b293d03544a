import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { KubeVirt } from "../../../../src/datastore/kubernetes/kube-virt.ts";

const pods = "/api/v1/namespaces/shop/pods";
const group = "/apis/kubevirt.io/v1/namespaces/shop";
const pod = { namespace: "shop", name: "virt-launcher-db-x1" };
const instanceRef = { apiVersion: "kubevirt.io/v1", kind: "VirtualMachineInstance", name: "db" };
const owner = { ...instanceRef, uid: "i1", controller: true };
const machineRef = {
  apiVersion: "kubevirt.io/v1",
  kind: "VirtualMachine",
  name: "db",
  uid: "m1",
};

/** By path; what is not there is not found, "no kind" is of no kind of the server's. */
function kubeVirt(objects: Readonly<Record<string, object | "no kind">>): KubeVirt {
  return new KubeVirt({
    find: async ({ path }) => {
      const object = objects[path];
      if (object === undefined || object === "no kind")
        return { isKnownKind: object === undefined };
      return { isKnownKind: true, object: { metadata: { name: "x", ...object } } };
    },
  });
}

describe("KubeVirt", () => {
  test("ofPod() goes by the controlling owner, which is read and compared", async () => {
    const path = `${pods}/${pod.name}`;
    const instance = { [`${group}/virtualmachineinstances/db`]: { uid: "i1" } };
    const owned = { ownerReferences: [{ ...owner, controller: false }, owner] };
    assert.deepEqual(await kubeVirt({ [path]: owned, ...instance }).ofPod(pod), {
      namespace: "shop",
      name: "db",
      instanceUid: "i1",
    });
    const ofMachine = {
      [`${group}/virtualmachineinstances/db`]: { uid: "i1", ownerReferences: [machineRef] },
    };
    const target = { ...owned, labels: { "kubevirt.io/migrationJobUID": "g1" } };
    assert.deepEqual(await kubeVirt({ [path]: target, ...ofMachine }).ofPod(pod), {
      namespace: "shop",
      name: "db",
      instanceUid: "i1",
      machineUid: "m1",
      migrationUid: "g1",
    });
  });

  test("ofPod() knows no machine of a pod with another owner, or none", async () => {
    const others = [
      [],
      [{ ...owner, controller: false }],
      [{ ...owner, apiVersion: "kubevirt.io/v2" }],
      [{ ...owner, kind: "VirtualMachine" }],
    ];
    for (const ownerReferences of others) {
      const found = kubeVirt({ [`${pods}/${pod.name}`]: { ownerReferences } });
      assert.equal(await found.ofPod(pod), undefined);
    }
  });

  test("ofPod() refuses a pod that is not there, and an owner that is another by now", async () => {
    await assert.rejects(kubeVirt({}).ofPod(pod), /pod shop\/virt-launcher-db-x1 .*not there/);
    const owned = { [`${pods}/${pod.name}`]: { ownerReferences: [owner] } };
    await assert.rejects(kubeVirt(owned).ofPod(pod), /db with uid i1, and it is not there/);
    const instance = { [`${group}/virtualmachineinstances/db`]: { uid: "i2" } };
    await assert.rejects(kubeVirt({ ...owned, ...instance }).ofPod(pod), /and its uid is i2/);
  });

  const machine = `${group}/virtualmachines/db`;
  const instance = `${group}/virtualmachineinstances/db`;
  const isDeleted = { deletionTimestamp: "2026-01-01T00:00:00Z" };
  const rows = [
    [{ [machine]: {} }, "there"],
    [{ [machine]: {}, [instance]: isDeleted }, "there"],
    [{ [machine]: isDeleted, [instance]: {} }, "ending"],
    [{ [instance]: {} }, "there"],
    [{ [instance]: isDeleted }, "ending"],
    [{}, "gone"],
    [{ [machine]: "no kind", [instance]: "no kind" }, "unknown"],
    [{ [instance]: "no kind" }, "unknown"],
  ] as const;
  for (const [objects, state] of rows) {
    test(`stateOf() is ${state} with ${JSON.stringify(objects)}`, async () => {
      const found = kubeVirt(objects);
      assert.equal(await found.stateOf({ namespace: "shop", name: "db" }), state);
    });
  }
});
