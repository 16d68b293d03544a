import assert from "node:assert/strict";
import { connect, createServer, type Socket } from "node:net";
import { suite, type TestContext, test } from "node:test";
import type { PeerConfig, PeerEvent } from "../../../../src/bgp/peer/peer.ts";
import { createPeers, type RunningPeers } from "../../../../src/bgp/peer/peers-service.ts";
import { encodeOpen } from "../../../../src/bgp/wire/open.ts";
import { encodeKeepalive } from "../../../../src/bgp/wire/route-refresh.ts";
import type { Asn } from "../../../../src/lib/asn.ts";
import { systemClock } from "../../../../src/lib/clock.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";
import { createLogger } from "../../../../src/lib/log.ts";
import { keptEvent } from "../../../support/kept-event.ts";
import { waitFor } from "../../../support/wait-for.ts";

const us = "127.0.0.2" as IpAddr;
const peerAddress = "127.0.0.1" as IpAddr;
const asn = 64512 as Asn;
const [openType, notificationType] = [1, 3];

/** One end of a connection in the hands of the test. */
class RawEnd {
  readonly socket: Socket;
  #received = Buffer.alloc(0);

  constructor(t: TestContext, socket: Socket) {
    this.socket = socket;
    t.after(() => socket.destroy());
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes]);
    });
  }

  /** Body of the first message of a type. */
  body(type: number): number[] | undefined {
    for (let at = 0; at < this.#received.length; at += this.#received.readUInt16BE(at + 16)) {
      const end = at + this.#received.readUInt16BE(at + 16);
      if (this.#received[at + 18] === type) return [...this.#received.subarray(at + 19, end)];
    }
    return undefined;
  }
}

/** Speakers of ours, all in AS 64512, that end with the test. */
async function speakers(
  t: TestContext,
  addresses: readonly IpAddr[],
): Promise<readonly { peers: RunningPeers; port: number; address: IpAddr; events: PeerEvent[] }[]> {
  const abort = new AbortController();
  const all = await Promise.all(
    addresses.map(async (address) => {
      const events: PeerEvent[] = [];
      const peers = createPeers(
        { listenAddresses: [address], listenPort: 0, closeQuietly: true },
        {
          clock: systemClock,
          log: createLogger({ name: "bgp", level: "silent" }),
          onEvent: (event) => events.push(keptEvent(event)),
          signal: abort.signal,
        },
      );
      const [port = 0] = await peers.listening;
      return { peers, port, address, events };
    }),
  );
  t.after(() => {
    abort.abort();
    return Promise.all(all.map(({ peers }) => peers.ended));
  });
  return all;
}

interface Collision {
  readonly peers: RunningPeers;
  readonly events: PeerEvent[];
  /** The connection that our speaker has opened, and the one that the peer has. */
  readonly ours: RawEnd;
  readonly theirs: RawEnd;
}

/** A speaker of ours with router id 5, and two connections to its one peer with our OPEN on each. */
async function collide(t: TestContext): Promise<Collision> {
  const server = createServer();
  t.after(() => server.close());
  const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
  await new Promise<void>((resolve) => server.listen(0, peerAddress, resolve));
  const bound = server.address();
  assert.ok(bound !== null && typeof bound === "object");
  const [speaker] = await speakers(t, [us]);
  assert.ok(speaker !== undefined);
  const { peers, events, port } = speaker;
  peers.configure([configOf(speaker, { address: peerAddress, port: bound.port })]);
  const ours = new RawEnd(t, await accepted);
  const theirs = new RawEnd(t, connect({ host: us, port, localAddress: peerAddress }));
  await waitFor(() => ours.body(openType) && theirs.body(openType), { what: "our OPEN on both" });
  return { peers, events, ours, theirs };
}

function configOf(
  { address: localAddress }: { readonly address: IpAddr },
  them: { readonly address: IpAddr; readonly port: number },
): PeerConfig {
  return {
    name: "peer",
    address: them.address,
    port: them.port,
    localAddress,
    remoteAs: asn,
    localAs: asn,
    localRouterId: localAddress === us ? 5 : 6,
    passive: false,
    holdSeconds: 90,
    connectRetrySeconds: 5,
    gracefulRestartSeconds: 0,
    families: [4],
  };
}

function openOf(routerId: number): Uint8Array {
  return encodeOpen({ kind: "open", asn, holdSeconds: 90, routerId, capabilities: [] });
}

suite("two connections at once on real sockets (RFC 4271 section 6.8)", () => {
  for (const [id, kept, first] of [
    [1, "ours", "ours"],
    [1, "ours", "theirs"],
    [9, "theirs", "ours"],
    [9, "theirs", "theirs"],
  ] as const) {
    test(`keeps ${kept} when the peer has id ${id}, its OPEN on ${first} comes first`, async (t) => {
      const { peers, events, ...ends } = await collide(t);
      const second = first === "ours" ? "theirs" : "ours";
      for (const end of [first, second] as const) ends[end].socket.write(openOf(id));
      const [winner, loser] = kept === "ours" ? [ends.ours, ends.theirs] : [ends.theirs, ends.ours];
      winner.socket.write(encodeKeepalive());
      await waitFor(() => loser.body(notificationType), { what: "the end of the other" });
      assert.deepEqual(loser.body(notificationType), [6, 7]);
      await waitFor(() => peers.status()[0]?.state === "Established", { what: "the session" });
      assert.equal(winner.body(notificationType), undefined);
      assert.deepEqual(
        events.map(({ kind }) => kind),
        ["established"],
      );
    });
  }

  test("an Established session is kept, whatever the ids", async (t) => {
    const { peers, events, ours, theirs } = await collide(t);
    ours.socket.write(openOf(9));
    ours.socket.write(encodeKeepalive());
    await waitFor(() => peers.status()[0]?.state === "Established", { what: "the session" });
    await waitFor(() => theirs.body(notificationType), { what: "the end of the other" });
    assert.deepEqual(theirs.body(notificationType), [6, 7]);
    theirs.socket.write(openOf(9));
    assert.equal(ours.body(notificationType), undefined);
    assert.equal(events.length, 1);
  });

  test("when the peer ends one of the two, the other becomes the session", async (t) => {
    const { peers, events, ours, theirs } = await collide(t);
    ours.socket.end();
    theirs.socket.write(openOf(9));
    theirs.socket.write(encodeKeepalive());
    await waitFor(() => peers.status()[0]?.state === "Established", { what: "the session" });
    assert.equal(events.length, 1);
  });

  test("two of ours that start together have the same connection, fifty times", async (t) => {
    for (let round = 0; round < 50; round++) {
      const [a, b] = await speakers(t, [us, "127.0.0.3" as IpAddr]);
      assert.ok(a !== undefined && b !== undefined);
      a.peers.configure([configOf(a, b)]);
      b.peers.configure([configOf(b, a)]);
      const portsOf = ({ peers }: typeof a) => peers.status()[0]?.negotiated?.ports;
      await waitFor(
        () => portsOf(a)?.local !== undefined && portsOf(a)?.local === portsOf(b)?.remote,
        { what: "one session" },
      );
      for (const { events } of [a, b]) {
        assert.deepEqual(
          events.map(({ kind }) => kind),
          ["established"],
        );
      }
    }
  });
});
