import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import type { Node } from "../../../src/api/resources/node.ts";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { askLength, encodeDatagram } from "../../../src/paths/datagram.ts";
import { PathKeys } from "../../../src/paths/keys.ts";
import { withPathKey } from "../../../src/paths/own-node.ts";
import { PeerBook } from "../../../src/paths/peers.ts";
import { Responder } from "../../../src/paths/responder.ts";
import { serveTransfers, transfer } from "../../../src/paths/transfer.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { waitFor } from "../../support/wait-for.ts";

const own = parseIpAddr("127.0.0.1");
const asking = parseIpAddr("127.0.0.2");
const stranger = parseIpAddr("127.0.0.66");

async function freePort(): Promise<number> {
  const server = createServer().listen(0, own);
  await once(server, "listening");
  const address = server.address();
  server.close();
  assert.ok(typeof address === "object" && address !== null);
  return address.port;
}

function node(name: string, address: string, publicKey: string): Node {
  const plain: Node = {
    apiVersion: "projectcalico.org/v3",
    kind: "Node",
    metadata: { name },
    spec: { bgp: { ipv4Address: `${address}/8` } },
  };
  return withPathKey(plain, publicKey);
}

/** node1 takes transfers of node2. */
async function world() {
  const [keys, theirs] = [new PathKeys(), new PathKeys()];
  const peers = new PeerBook("node1");
  const nodes = [node("node1", own, keys.publicKey), node("node2", asking, theirs.publicKey)];
  peers.learn(nodes.map((value) => ({ key: { kind: "Node", name: value.metadata.name }, value })));
  const clock = new FakeClock();
  const state = async () => ({ checksumErrors: { udp: 0, tcp: 0 }, tunnels: [] });
  const responder = new Responder({ keys, peers, clock, state });
  const port = await freePort();
  const stop = new AbortController();
  const served = serveTransfers({ address: own, port, peers, responder, clock })(stop.signal);
  const key = theirs.sharedWith(keys.publicKey) ?? assert.fail("no key");
  const conversation = {
    self: "node2",
    peer: "node1",
    key,
    run: "00".repeat(8),
    nextNumber: () => 1,
  };
  const end = async () => {
    stop.abort();
    await served;
  };
  return { port, clock, conversation, end };
}

/** What the receiver sends after this answer to its challenge, until it ends the connection. */
function answered(
  port: number,
  from: string,
  answer: (challenge: Buffer) => Buffer,
): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: own, port, localAddress: from, allowHalfOpen: true });
    let challenge: Buffer | undefined;
    let text = "";
    socket.on("data", (data) => {
      if (challenge !== undefined) {
        text += data.toString();
        return;
      }
      challenge = data;
      socket.end(answer(data));
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve(challenge === undefined ? "no challenge" : text));
    socket.on("end", () => socket.destroy());
  });
}

test("a transfer of a node is taken; of strangers, and with a challenge of before, it is not", async () => {
  const { port, clock, conversation, end } = await world();
  const path = { source: asking, destination: own };
  await waitFor(async () => (await transfer(path, { port, conversation, clock })) !== undefined);
  const { key, run } = conversation;
  const greeting = (body: Buffer, by = key) => {
    const datagram = {
      kind: "stream",
      run,
      number: 1,
      sender: "node2",
      answerLength: 0,
      body,
    } as const;
    return encodeDatagram(datagram, askLength, by);
  };
  assert.equal(await answered(port, asking, (challenge) => greeting(challenge)), "+");
  assert.equal(await answered(port, asking, () => greeting(Buffer.alloc(16))), "");
  const wrongKey = new Uint8Array(32);
  assert.equal(await answered(port, asking, (challenge) => greeting(challenge, wrongKey)), "");
  assert.equal(await answered(port, asking, () => Buffer.alloc(10)), "");
  assert.equal(await answered(port, stranger, (challenge) => greeting(challenge)), "no challenge");
  await end();
});
