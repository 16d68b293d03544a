import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Clock } from "../../../src/lib/clock.ts";
import { cluster } from "./garbage-cluster.ts";

describe("ipamController() while something fails or changes", () => {
  test("an endpoint that appears between the look and the release keeps its address", async (t) => {
    const it = await cluster(t, "4m");
    const address = await it.assign("a", "node1");
    it.datastore.beforeRelease = async () => {
      it.datastore.beforeRelease = () => undefined;
      await it.addEndpoint("a", "node1", address);
    };
    await it.pass(12);
    assert.equal((await it.datastore.list("WorkloadEndpoint")).items.length, 1);
    assert.deepEqual(await it.addresses(), [address]);
  });

  test("a pod that is made again meanwhile keeps its new address, and the old one goes", async (t) => {
    const it = await cluster(t, "4m");
    const old = await it.assign("a", "node1");
    let fresh = "";
    it.datastore.beforeRelease = async () => {
      it.datastore.beforeRelease = () => undefined;
      fresh = await it.assign("a", "node1", {}, "k8s-pod-network.second");
      await it.addEndpoint("a", "node1", fresh);
    };
    await it.pass(12);
    assert.notEqual(fresh, old);
    assert.deepEqual(await it.addresses(), [fresh]);
  });

  test("a handle that gets another address meanwhile keeps all", async (t) => {
    const it = await cluster(t, "4m");
    const old = await it.assign("a", "node1");
    let fresh = "";
    it.datastore.beforeRelease = async () => {
      it.datastore.beforeRelease = () => undefined;
      fresh = await it.assign("a", "node1");
    };
    await it.pass(5.5);
    assert.deepEqual((await it.addresses()).sort(), [old, fresh].sort());
  });

  test("a datastore that is gone in the middle is asked no more, and later all leaks go", async (t) => {
    const it = await cluster(t, "4m");
    for (let i = 0; i < 12; i++) await it.assign(`p${i}`, "node1");
    let reads = 0;
    it.datastore.beforeRelease = () => {
      it.datastore.isGone = ++reads > 5;
    };
    await it.pass(8);
    // Three in a row without an answer end the look.
    assert.ok(reads > 5 && reads < 12, `${reads} reads`);
    it.datastore.beforeRelease = () => undefined;
    it.datastore.isGone = false;
    await it.pass(1);
    assert.deepEqual(await it.addresses(), []);
  });

  test("one release that hangs delays the others by its deadline, no longer", async (t) => {
    const it = await cluster(t, "4m");
    for (let i = 0; i < 3; i++) await it.assign(`p${i}`, "node1");
    const released: string[] = [];
    it.datastore.beforeRelease = () => {
      it.datastore.beforeRelease = () => undefined;
      released.push("hangs");
      return new Promise(() => undefined);
    };
    while (released.length === 0) await it.pass(0.1);
    await it.pass(0.6);
    assert.equal((await it.addresses()).length, 1);
    await it.pass(6);
    assert.deepEqual(await it.addresses(), []);
  });

  test("two controllers at once, one of them with a wrong wall clock, release leaks and no other", async (t) => {
    const it = await cluster(t, "4m");
    it.startController(hourAhead(it.clock));
    const used = await it.addPod("a", "node1");
    for (let i = 0; i < 5; i++) await it.assign(`p${i}`, "node1");
    await it.pass(3.5);
    assert.equal((await it.addresses()).length, 6);
    await it.pass(8);
    assert.deepEqual(await it.addresses(), [used]);
    const handles = (await it.datastore.list("IPAMHandle")).items;
    assert.deepEqual(
      handles.map(({ spec }) => spec.handleID),
      ["k8s-pod-network.a"],
    );
  });

  test("Nodes that are written do not make it look; one that is deleted does", async (t) => {
    const it = await cluster(t);
    await it.pass(1);
    const { looks } = it.datastore;
    for (let i = 0; i < 20; i++) {
      const node = await it.datastore.get({ kind: "Node", name: "node1" });
      await it.datastore.update<"Node">(node);
      await it.pass(0.1);
    }
    assert.equal(it.datastore.looks, looks);
    await it.datastore.delete({ kind: "Node", name: "node1" });
    await it.pass(0.2);
    assert.equal(it.datastore.looks, looks + 1);
  });
});

function hourAhead(clock: Clock): Clock {
  return {
    now: () => clock.now(),
    date: () => new Date(clock.date().getTime() + 3_600_000),
    sleep: (delayMs, signal) => clock.sleep(delayMs, signal),
    setTimer: (delayMs, callback) => clock.setTimer(delayMs, callback),
  };
}
