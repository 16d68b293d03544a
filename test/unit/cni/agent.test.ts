import assert from "node:assert/strict";
import { test } from "node:test";
import { DatastoreError } from "../../../src/datastore/datastore.ts";
import { clusterInformation } from "../../states/resources.ts";
import { AgentBench as Bench } from "../../support/agent-bench.ts";

test("ADD answers only when routes and policy of the pod are in the kernel", async () => {
  const bench = new Bench();
  let isAnswered = false;
  const answer = bench.answer().finally(() => {
    isAnswered = true;
  });
  await bench.asked();
  assert.equal(isAnswered, false);
  await bench.program();
  assert.equal((await answer).exitCode, 0);
  assert.deepEqual(await bench.hostVeths(), [bench.offered[0]?.spec.interfaceName]);
  assert.deepEqual(bench.released, []);
});

test("an ADD logs what of its quality of service is not taken as the annotations have it", async () => {
  const bench = new Bench();
  const annotations = {
    "qos.projectcalico.org/egressPacketRate": "20k",
    "qos.projectcalico.org/dscp": "64",
  };
  const runtimeConfig = { "io.kubernetes.cri.pod-annotations": annotations };
  const answer = bench.answer({}, { runtimeConfig });
  await bench.program();
  assert.equal((await answer).exitCode, 0);
  assert.equal(bench.offered[0]?.spec.qosControls?.egressPacketRate, 10_000);
  const records = bench.logged.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    records.map(({ level, pod }) => [level, pod]),
    Array.from({ length: 2 }, () => [40, { namespace: "default", name: "web" }]),
  );
  assert.match(String(records[0]?.["reason"]), /egressPacketRate: 20k .* counts as 10000/);
  assert.match(String(records[1]?.["reason"]), /dscp: /);
});

test("policy of a new pod is offered before there is an interface", async () => {
  const bench = new Bench();
  const addVeth = bench.host.links.addVeth;
  bench.host.links.addVeth = async (pair) => {
    assert.equal(pair.peer.mac, bench.offered[0]?.spec.mac);
    await addVeth(pair);
  };
  const answer = bench.answer();
  await bench.program();
  assert.equal((await answer).exitCode, 0);
  assert.equal(bench.offered.length, 1);
  assert.equal(bench.offered[0]?.spec.mac, "fe:ff:ff:ff:ff:ff", "local and of one interface");
});

test("a pod whose interface is there from earlier is offered only with its new one", async () => {
  const bench = new Bench();
  bench.host.addLink("cali68caf03a5f4", { type: "veth" });
  const addVeth = bench.host.links.addVeth;
  bench.host.links.addVeth = async (pair) => {
    assert.deepEqual([bench.offered, await bench.hostVeths()], [[], []]);
    await addVeth(pair);
  };
  assert.equal((await bench.added()).exitCode, 0);
});

test("an ADD that cannot make its interface takes its offer back, whatever the datastore says", async () => {
  const bench = new Bench();
  bench.host.links.addVeth = async () => {
    bench.datastore.next("get", new DatastoreError("away", { code: "unavailable" }));
    throw new Error("no veth");
  };
  const { exitCode, msg } = await bench.answer();
  assert.equal(exitCode, 1);
  assert.match(msg ?? "", /no veth; and cannot clean up after it/);
  assert.deepEqual(bench.offered, []);
});

test("an ADD whose policy is late fails with try again, and leaves nothing", async () => {
  const bench = new Bench();
  const answer = bench.answer();
  await bench.asked();
  bench.clock.advance(5_000);
  const { exitCode, code, msg } = await answer;
  assert.deepEqual([exitCode, code], [1, 11]);
  assert.match(msg ?? "", /routes and policy are not in the kernel/);
  assert.deepEqual(await bench.hostVeths(), []);
  assert.deepEqual(bench.stored(), []);
  assert.equal(bench.offered.length, 0);
  assert.equal(bench.released.length, 1);
  assert.deepEqual(bench.left, ["web"]);
});

test("an ADD that cannot write its endpoint leaves nothing", async () => {
  const bench = new Bench();
  bench.datastore.next("create", new DatastoreError("away", { code: "unavailable" }));
  const { exitCode, code } = await bench.answer();
  assert.deepEqual([exitCode, code], [1, 11]);
  assert.deepEqual(await bench.hostVeths(), []);
  assert.equal(bench.released.length, 1);
});

for (const [why, resources] of [
  ["that nobody has set up", []],
  ["that is locked for migration", [clusterInformation(false)]],
] as const) {
  test(`ADD on a datastore ${why} is to be tried again`, async () => {
    const bench = new Bench(resources);
    const { exitCode, code, msg } = await bench.answer();
    assert.deepEqual([exitCode, code], [1, 11]);
    assert.match(msg ?? "", /not ready/);
    assert.deepEqual(await bench.hostVeths(), []);
  });
}

test("DEL of another sandbox's container leaves the pod alone", async () => {
  const bench = new Bench();
  await bench.added();
  const late = await bench.answer({ CNI_COMMAND: "DEL", CNI_CONTAINERID: "earlier" });
  assert.equal(late.exitCode, 0);
  assert.equal(bench.stored().length, 1);
  assert.equal((await bench.hostVeths()).length, 1);
  assert.deepEqual(bench.left, [], "a virtual machine's address is the pod's, not the container's");
  await bench.answer({ CNI_COMMAND: "DEL" });
  assert.deepEqual(bench.left, ["web"]);
});

test("DEL on a locked datastore is to be tried again, and takes nothing away", async () => {
  const bench = new Bench();
  await bench.added();
  const key = { kind: "ClusterInformation", name: "default" } as const;
  const present = await bench.datastore.get(key);
  await bench.datastore.update<"ClusterInformation">({
    ...present,
    spec: { datastoreReady: false },
  });
  const { exitCode, code, msg } = await bench.answer({ CNI_COMMAND: "DEL" });
  assert.deepEqual([exitCode, code], [1, 11]);
  assert.match(msg ?? "", /not ready/);
  assert.equal(bench.stored().length, 1);
  assert.deepEqual(bench.released, []);
});

test("ADD of a pod made anew with ipAddrs takes the address from its earlier sandbox", async () => {
  const add = async (bench: Bench, container: string, config: object) => {
    const answer = bench.answer({ CNI_CONTAINERID: container }, config);
    await bench.program();
    assert.equal((await answer).exitCode, 0);
  };
  const annotations = { "cni.projectcalico.org/ipAddrs": '["10.65.0.1"]' };
  const asked = { runtimeConfig: { "io.kubernetes.cri.pod-annotations": annotations } };
  for (const [config, released] of [
    [asked, ["net.first"]],
    [{}, []],
  ] as const) {
    const bench = new Bench();
    await add(bench, "first", config);
    const link = await bench.pod.links.get("eth0");
    assert.ok(link !== undefined);
    await bench.pod.links.remove(link.ifindex);
    await add(bench, "second", config);
    assert.deepEqual(bench.released, released);
  }
});
