import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { pino } from "pino";
import { calicoApiVersion } from "../../../../src/api/meta.ts";
import type {
  CalicoNodeStatus,
  CalicoNodeStatusSpec,
} from "../../../../src/api/resources/node-status.ts";
import { nodeStatus } from "../../../../src/bgp/speaker/node-status.ts";
import { NodeStatusReporter } from "../../../../src/bgp/speaker/report-node-status.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { MemoryDatastore } from "../../../support/memory-datastore.ts";
import { cluster } from "./cluster.ts";
import { Network } from "./network.ts";

const now = new Date("2026-01-02T03:04:05.678Z");

/** Node a with a mesh peer, and a configured one that is kept down. */
function statusOf(classes: CalicoNodeStatusSpec["classes"]) {
  const network = new Network();
  network.add("a", "192.168.1.11");
  network.add("b", "192.168.1.12");
  network.configure(
    cluster({
      nodes: { a: { ipv4Address: "192.168.1.11/16" }, b: { ipv4Address: "192.168.1.12/16" } },
      blocks: { "10.244.1.0/26": "a", "10.244.2.0/26": "b" },
      peers: { p: { peerIP: "192.168.9.9", filters: ["absent"] } },
    }),
  );
  network.connect();
  const { speaker } = network.host("a");
  const session = {
    name: "Mesh_192_168_1_12",
    address: "192.168.1.12" as never,
    state: "Established" as const,
    since: "2026-01-01T10:11:12.345Z",
    reason: "",
  };
  const source = {
    speaker,
    sessions: [session],
    version: "tortie 1.2.3",
    startedAt: new Date("2026-01-01T10:00:00Z"),
    configuredAt: new Date("2026-01-01T10:05:00Z"),
  };
  return nodeStatus({ classes }, source, now);
}

test("nodeStatus() gives nothing but the time when no class is asked for", () => {
  assert.deepEqual(statusOf([]), { lastUpdated: "2026-01-02T03:04:05Z" });
});

test("nodeStatus() of class Agent tells of one daemon for both families", () => {
  const birdV4 = {
    state: "Ready",
    version: "tortie 1.2.3",
    routerID: "192.168.1.11",
    lastBootTime: "2026-01-01 10:00:00",
    lastReconfigurationTime: "2026-01-01 10:05:00",
  };
  assert.deepEqual(statusOf(["Agent"]).agent, { birdV4, birdV6: birdV4 });
});

test("nodeStatus() of class BGP counts sessions, those that are kept down among them", () => {
  assert.deepEqual(statusOf(["BGP"]).bgp, {
    numberEstablishedV4: 1,
    numberNotEstablishedV4: 1,
    numberEstablishedV6: 0,
    numberNotEstablishedV6: 0,
    peersV4: [
      {
        peerIP: "192.168.1.12",
        type: "NodeMesh",
        state: "Established",
        since: "2026-01-01 10:11:12",
      },
      { peerIP: "192.168.9.9", type: "GlobalPeer", state: "Idle", since: "2026-01-01 10:00:00" },
    ],
  });
});

test("nodeStatus() of class Routes tells own routes and those of peers", () => {
  assert.deepEqual(statusOf(["Routes"]).routes, {
    routesV4: [
      {
        type: "FIB",
        destination: "10.244.1.0/26",
        gateway: "N/A",
        interface: "blackhole",
        learnedFrom: { sourceType: "Static" },
      },
      {
        type: "FIB",
        destination: "10.244.2.0/26",
        gateway: "192.168.1.12",
        learnedFrom: { sourceType: "NodeMesh", peerIP: "192.168.1.12" },
      },
    ],
  });
});

function object(name: string, spec: Partial<CalicoNodeStatusSpec> = {}): CalicoNodeStatus {
  return {
    apiVersion: calicoApiVersion,
    kind: "CalicoNodeStatus",
    metadata: { name },
    spec: { node: "a", classes: ["BGP"], updatePeriodSeconds: 10, ...spec },
  };
}

test("A CalicoNodeStatus of this node is filled at once and every updatePeriodSeconds", async () => {
  const clock = new FakeClock();
  const never = object("never", { updatePeriodSeconds: 0 });
  const elsewhere = object("elsewhere", { node: "b" });
  const datastore = new MemoryDatastore([object("mine"), never, elsewhere]);
  const deps = { datastore, clock, log: pino({ level: "silent" }) };
  let reads = 0;
  const reporter = new NodeStatusReporter("a", deps, () => ({ lastUpdated: `read ${++reads}` }));
  const stop = new AbortController();
  const ended = reporter.run(stop.signal);
  const pass = async (seconds: number) => {
    for (let step = 0; step < seconds * 10; step++) {
      clock.advance(100);
      for (let turn = 0; turn < 5; turn++) await nextTurn();
    }
  };
  const updated = async (name: string) =>
    (await datastore.get<"CalicoNodeStatus">({ kind: "CalicoNodeStatus", name })).status
      ?.lastUpdated;
  await pass(1);
  assert.equal(await updated("mine"), "read 1");
  await pass(33);
  assert.equal(await updated("mine"), "read 4");
  const { metadata } = await datastore.get<"CalicoNodeStatus">({
    kind: "CalicoNodeStatus",
    name: "mine",
  });
  await datastore.update({ ...object("mine", { updatePeriodSeconds: 100 }), metadata });
  await pass(1);
  assert.equal(await updated("mine"), "read 5", "a changed object is filled at once");
  await pass(50);
  datastore.next("update", new Error("no connection"));
  await pass(55);
  assert.equal(await updated("mine"), "read 5", "the write failed");
  await pass(100);
  assert.equal(await updated("mine"), "read 7");
  await datastore.delete({ kind: "CalicoNodeStatus", name: "mine" });
  await pass(300);
  assert.equal(reads, 7);
  assert.deepEqual([await updated("never"), await updated("elsewhere")], [undefined, undefined]);
  stop.abort(new Error("test ends"));
  await ended;
});
