import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { suite, type TestContext, test } from "node:test";
import type { PeerCounters } from "../../../../src/bgp/peer/peer.ts";
import { encodeKeepalive } from "../../../../src/bgp/wire/route-refresh.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { waitFor } from "../../../support/wait-for.ts";
import { config, establish, rawPeer, type Speaker, speaker } from "./tcp-fixture.ts";

/** An Established session of `us` with a peer in the hands of the test. */
interface Session {
  readonly clock: FakeClock;
  readonly us: Speaker;
  readonly socket: Socket;
}

async function established(t: TestContext): Promise<Session> {
  const clock = new FakeClock();
  // The end of a connection whose peer reads nothing takes seconds, which must pass.
  t.after(() => setImmediate(() => clock.advance(10_000)));
  const us = speaker(t, "127.0.0.2", { clock, highWaterBytes: 16_000_000 });
  const { server, port, accepted } = await rawPeer(t);
  t.after(() => server.close());
  us.peers.configure([config("raw", { port, localAddress: "127.0.0.2" as IpAddr })]);
  const socket = await accepted;
  establish(socket);
  await waitFor(() => us.peers.status()[0]?.state === "Established", { what: "the session" });
  return { clock, us, socket };
}

function countersOf({ us }: Session): PeerCounters {
  const counters = us.peers.status()[0]?.counters;
  assert.ok(counters !== undefined);
  return counters;
}

/** The peer speaks all the time. Ends early with the session. */
async function passMinutes(session: Session, minutes: number): Promise<void> {
  const { clock, us, socket } = session;
  for (let i = 0; i < minutes * 2 && us.events.length === 1; i++) {
    const before = countersOf(session).received.keepalive;
    socket.write(encodeKeepalive());
    await waitFor(() => countersOf(session).received.keepalive > before, { what: "a KEEPALIVE" });
    clock.advance(30_000);
  }
}

suite("the send hold timer on real sockets (RFC 9687)", () => {
  test("a peer that takes all lives on", async (t) => {
    const session = await established(t);
    await passMinutes(session, 10);
    assert.equal(session.us.events.length, 1);
  });

  test("a peer that takes nothing for eight minutes is given up, one that takes a little is not", async (t) => {
    const session = await established(t);
    const { us, socket } = session;
    socket.pause();
    const block = new Uint8Array(64 * 1024).fill(0xff);
    while (us.peers.send("raw", block)) await new Promise((resolve) => setImmediate(resolve));
    await passMinutes(session, 7);
    const before = countersOf(session).queuedBytes;
    socket.on("data", () => socket.pause());
    const tookSome = () => {
      socket.resume();
      return countersOf(session).queuedBytes < before;
    };
    await waitFor(tookSome, { what: "the peer to read" });
    socket.pause();
    await passMinutes(session, 7);
    assert.equal(us.events.length, 1);
    await passMinutes(session, 2);
    const down = us.events.at(-1);
    const reason = "Send hold timer expired: the peer takes no bytes";
    assert.equal(down?.kind === "down" && down.reason, reason);
  });
});
