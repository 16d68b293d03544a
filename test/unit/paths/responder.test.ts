import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node } from "../../../src/api/resources/node.ts";
import { type IpAddr, parseIpAddr } from "../../../src/lib/ip-addr.ts";
import {
  askLength,
  type Datagram,
  decodeDatagram,
  encodeDatagram,
  isAuthentic,
} from "../../../src/paths/datagram.ts";
import { PathKeys } from "../../../src/paths/keys.ts";
import { withPathKey } from "../../../src/paths/own-node.ts";
import { PeerBook } from "../../../src/paths/peers.ts";
import { Responder } from "../../../src/paths/responder.ts";
import { parseState } from "../../../src/paths/state-body.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const address = parseIpAddr("192.0.2.2");
const tunnel = parseIpAddr("10.2.0.1");

function node(name: string, own: string, tunnelAddress: string, publicKey?: string): Node {
  return withPathKey(
    {
      apiVersion: "projectcalico.org/v3",
      kind: "Node",
      metadata: { name },
      spec: { bgp: { ipv4Address: own }, ipv4VXLANTunnelAddr: tunnelAddress },
    },
    publicKey,
  );
}

/** node1 answers; node2 and node4 have keys that node1 knows, node3 takes no part. */
function world(devices = 1) {
  const [own, asking, stranger] = [new PathKeys(), new PathKeys(), new PathKeys()];
  const fourth = new PathKeys();
  const peers = new PeerBook("node1");
  const nodes = [
    node("node1", "192.0.2.1/24", "10.1.0.1", own.publicKey),
    node("node2", "192.0.2.2/24", "10.2.0.1", asking.publicKey),
    node("node3", "192.0.2.3/24", "10.3.0.1"),
    node("node4", "192.0.2.4/24", "10.4.0.1", fourth.publicKey),
  ];
  peers.learn(nodes.map((value) => ({ key: { kind: "Node", name: value.metadata.name }, value })));
  const clock = new FakeClock();
  const tunnel = { name: "vxlan.calico", up: true, mtu: 1450, vni: 4096, port: 4789 };
  const tunnels = Array.from({ length: devices }, () => tunnel);
  const state = async () => ({ checksumErrors: { udp: 5, tcp: 0 }, tunnels });
  const responder = new Responder({ keys: own, peers, clock, state });
  const key = asking.sharedWith(own.publicKey) ?? assert.fail("no key");
  const wrongKey = stranger.sharedWith(own.publicKey) ?? assert.fail("no key");
  const datagram = (what: Partial<Datagram> = {}, length = 320, by = key) =>
    encodeDatagram(
      {
        kind: "probe",
        run: "0011223344556677",
        number: 1,
        sender: "node2",
        answerLength: length,
        body: new Uint8Array(),
        ...what,
      },
      length,
      by,
    );
  const ask = (body: object, what: Partial<Datagram> = {}) =>
    datagram(
      { kind: "ask", number: 99, body: Buffer.from(JSON.stringify(body)), ...what },
      askLength,
    );
  const other = datagram({ sender: "node4" }, 320, fourth.sharedWith(own.publicKey) ?? wrongKey);
  return { responder, clock, key, wrongKey, datagram, ask, other };
}

test("a probe of a node, from any of its addresses, gets an answer of the length that it asks for", async () => {
  const { responder, key, datagram } = world();
  for (const from of [address, tunnel]) {
    for (const answerLength of [100, 1000]) {
      const answer = await responder.answerTo(datagram({ answerLength }, 1000), from);
      assert.equal(answer?.length, answerLength);
      assert.ok(answer !== undefined && isAuthentic(answer, key));
      const { kind, number, sender } = decodeDatagram(answer) ?? {};
      assert.deepEqual({ kind, number, sender }, { kind: "answer", number: 1, sender: "node1" });
    }
  }
});

function stateOf(answer: Uint8Array = new Uint8Array()) {
  return parseState(decodeDatagram(answer)?.body ?? new Uint8Array());
}

type World = ReturnType<typeof world>;
const refused: readonly (readonly [
  what: string,
  bytes: (of: World) => Uint8Array,
  from?: IpAddr,
])[] = [
  ["more than it was sent", ({ datagram }) => datagram({ answerLength: 321 })],
  ["an address that is not the sender's", ({ datagram }) => datagram(), parseIpAddr("192.0.2.66")],
  ["a wrong key", ({ datagram, wrongKey }) => datagram({}, 320, wrongKey)],
  ["a node that is not there", ({ datagram }) => datagram({ sender: "node9" })],
  [
    "a node that takes no part",
    ({ datagram }) => datagram({ sender: "node3" }),
    parseIpAddr("192.0.2.3"),
  ],
  ["our own name", ({ datagram }) => datagram({ sender: "node1" }), parseIpAddr("192.0.2.1")],
  ["an answer", ({ datagram }) => datagram({ kind: "answer" })],
  ["a state", ({ datagram }) => datagram({ kind: "state" })],
  ["an ask without a number", ({ ask }) => ask({ first: "x", count: 1 })],
  ["an ask that is no JSON", ({ datagram }) => datagram({ kind: "ask", body: Buffer.from("{") })],
  ["no datagram of ours", () => Buffer.alloc(320)],
];
for (const [what, bytes, from = address] of refused) {
  test(`there is no answer to ${what}`, async () => {
    const of = world();
    assert.equal(await of.responder.answerTo(bytes(of), from), undefined);
  });
}

test("an ask tells which probes of the run arrived, and how the node is", async () => {
  const { responder, datagram, ask } = world();
  for (const number of [3, 5]) await responder.answerTo(datagram({ number }), address);
  await responder.answerTo(datagram({ number: 4, run: "ffffffffffffffff" }), address);
  const answer = await responder.answerTo(ask({ first: 3, count: 3 }), address);
  assert.equal(answer?.length, askLength);
  const state = stateOf(answer);
  assert.deepEqual(state?.arrived, [3, 5]);
  assert.deepEqual(state?.checksumErrors, { udp: 5, tcp: 0 });
  assert.equal(state?.tunnels?.[0]?.port, 4789);
});

test("where there is no room for devices nothing is said of them, not that there are none", async () => {
  const { responder, ask } = world(9);
  const state = stateOf(await responder.answerTo(ask({ first: 0, count: 0 }), address));
  assert.deepEqual(state, { checksumErrors: { udp: 5, tcp: 0 }, arrived: [] });
});

test("a node gets 400 answers at once, then 200 a second", async () => {
  const { responder, clock, datagram } = world();
  const bytes = datagram();
  const answers = async (count: number) => {
    let got = 0;
    for (let i = 0; i < count; i++) {
      if ((await responder.answerTo(bytes, address)) !== undefined) got++;
    }
    return got;
  };
  assert.equal(await answers(600), 400);
  clock.advance(1000);
  assert.equal(await answers(600), 200);
});

test("what strangers send uses up nobody's share", async () => {
  const { responder, datagram, wrongKey } = world();
  const forged = datagram({}, 320, wrongKey);
  for (let i = 0; i < 3000; i++) {
    assert.equal(await responder.answerTo(forged, parseIpAddr("192.0.2.66")), undefined);
  }
  assert.ok((await responder.answerTo(datagram(), address)) !== undefined);
});

test("a node that sends more than its share leaves the others theirs", async () => {
  const { responder, datagram, other } = world();
  const forged = datagram({}, 320, new Uint8Array(32));
  for (let i = 0; i < 3000; i++) await responder.answerTo(forged, address);
  assert.equal(await responder.answerTo(datagram(), address), undefined);
  assert.ok((await responder.answerTo(other, parseIpAddr("192.0.2.4"))) !== undefined);
});
