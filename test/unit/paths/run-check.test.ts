import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node } from "../../../src/api/resources/node.ts";
import { PathKeys } from "../../../src/paths/keys.ts";
import { withPathKey } from "../../../src/paths/own-node.ts";
import { PeerBook } from "../../../src/paths/peers.ts";
import { type CheckRequest, runCheck } from "../../../src/paths/run-check.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { FakeKernel } from "../../support/fake-kernel.ts";

function node(number: number, takesPart: boolean): Node {
  const plain: Node = {
    apiVersion: "projectcalico.org/v3",
    kind: "Node",
    metadata: { name: `node${number}` },
    spec: { bgp: { ipv4Address: `192.0.2.${number}/24` } },
  };
  return withPathKey(plain, takesPart ? new PathKeys().publicKey : undefined);
}

/** node1 is this one; of the others the even ones take part. */
function plan(request: Partial<CheckRequest>, turn = 0, signal = new AbortController().signal) {
  const peers = new PeerBook("node1");
  const nodes = Array.from({ length: 9 }, (_, i) => node(i + 1, (i + 1) % 2 === 0));
  peers.learn(nodes.map((value) => ({ key: { kind: "Node", name: value.metadata.name }, value })));
  const deps = {
    self: "node1",
    port: 5474,
    samplePeers: 3,
    peers,
    keys: new PathKeys(),
    kernel: new FakeKernel(),
    clock: new FakeClock(),
    ownState: async () => ({ checksumErrors: { udp: 0, tcp: 0 }, tunnels: [] }),
  };
  const odd = withPathKey({ ...node(10, false) }, "A".repeat(43));
  peers.learn([{ key: { kind: "Node", name: "node10" }, value: odd }]);
  const whole = { throughput: true, dryRun: true, ...request };
  return runCheck(whole, turn, deps, signal);
}

test("a sample is of nodes that take part, as many as configured or asked for, others the next time", async () => {
  const names = async (request: Partial<CheckRequest>, turn?: number) =>
    ((await plan(request, turn)).plan ?? []).map(({ node: name }) => name);
  const first = await names({});
  assert.equal(first.length, 3);
  assert.ok(first.every((name) => Number(name.slice(4)) % 2 === 0));
  assert.equal((await names({ samplePeers: 2 })).length, 2);
  assert.notDeepEqual(await names({}, 1), first);
});

test("of nodes that are named it is said why they are not probed", async () => {
  const nodes = ["node2", "node3", "node1", "node99", "node2"];
  const { plan: planned, skipped } = await plan({ nodes });
  assert.deepEqual(
    planned?.map(({ node: name }) => name),
    ["node2"],
  );
  assert.deepEqual(skipped, [
    { node: "node3", reason: "pathChecks is not Enabled there" },
    { node: "node1", reason: "it is this node" },
    { node: "node99", reason: "there is no such node" },
  ]);
});

test("a node whose key makes no secret is not probed, and it is said why", async () => {
  const { peers, skipped } = await plan({ nodes: ["node10"], dryRun: false });
  assert.deepEqual(peers, []);
  assert.deepEqual(skipped, [{ node: "node10", reason: "its path check key is none" }]);
});

test("a run that is cut short is no answer", async () => {
  const aborted = AbortSignal.abort(new Error("stopped"));
  await assert.rejects(plan({ dryRun: false, nodes: [] }, 0, aborted), /stopped/);
  const stop = new AbortController();
  const running = plan({ dryRun: false, nodes: ["node10"] }, 0, stop.signal);
  stop.abort(new Error("stopped"));
  await assert.rejects(running, /stopped/);
});
