import assert from "node:assert/strict";
import { connect } from "node:net";
import { suite, test } from "node:test";
import { createPeers } from "../../../../src/bgp/peer/peers-service.ts";
import { encodeUpdates } from "../../../../src/bgp/wire/encode-updates.ts";
import type { PackedPrefixes } from "../../../../src/bgp/wire/message.ts";
import { systemClock } from "../../../../src/lib/clock.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";
import { createLogger } from "../../../../src/lib/log.ts";
import { waitFor } from "../../../support/wait-for.ts";
import { config, establish, rawPeer, type Speaker, speaker } from "./tcp-fixture.ts";

/** `count` prefixes of /24. */
function blocks(count: number): PackedPrefixes {
  const words = Uint32Array.from({ length: count }, (_, i) => 0x0a000000 + i * 256);
  return { family: 4, count, words, lengths: new Uint8Array(count).fill(24) };
}

const announcement = {
  attributes: { origin: 0, asPath: [], localPref: 100 },
  nextHop: "10.0.0.1" as IpAddr,
} as const;

suite("peers over loopback TCP", () => {
  for (const [here, there] of [
    ["127.0.0.2", "127.0.0.3"],
    ["::1", "::1"],
  ] as const) {
    test(`two speakers on ${here} and ${there} exchange 50,000 prefixes both ways`, async (t) => {
      const [a, b] = [speaker(t, here), speaker(t, there)];
      const [portA = 0] = await a.peers.listening;
      const [portB = 0] = await b.peers.listening;
      const [ipA, ipB] = [here as IpAddr, there as IpAddr];
      a.peers.configure([
        config("b", { address: ipB, port: portB, localAddress: ipA, localRouterId: 1 }),
      ]);
      b.peers.configure([
        config("a", { address: ipA, port: portA, localAddress: ipB, localRouterId: 2 }),
      ]);
      const isUp = ({ peers }: Speaker) => peers.status()[0]?.state === "Established";
      await waitFor(() => isUp(a) && isUp(b), { what: "the session" });
      const messages = encodeUpdates(
        { ...announcement, prefixes: blocks(50_000) },
        { fourOctetAs: true },
      );
      for (const message of messages) a.peers.send("b", message);
      for (const message of messages) b.peers.send("a", message);
      await waitFor(() => heard(a) === 50_000 && heard(b) === 50_000, { what: "the prefixes" });
      await b.stop();
      const down = await waitFor(() => a.events.find(({ kind }) => kind === "down"));
      assert.deepEqual(down, {
        kind: "down",
        name: "b",
        reason: "Received NOTIFICATION Cease/Administrative Shutdown",
        graceful: false,
      });
    });
  }

  test("a peer that does not read stops send(), and draining is told", async (t) => {
    const a = speaker(t, "127.0.0.2");
    const { server, port, accepted } = await rawPeer(t);
    t.after(() => server.close());
    a.peers.configure([config("raw", { port, localAddress: "127.0.0.2" as IpAddr })]);
    const socket = await accepted;
    establish(socket);
    await waitFor(() => a.peers.status()[0]?.state === "Established", { what: "the session" });
    socket.pause();
    const [message = new Uint8Array(0)] = encodeUpdates(
      { ...announcement, prefixes: blocks(1000) },
      { fourOctetAs: true },
    );
    let sent = 0;
    while (a.peers.send("raw", message)) {
      assert.ok(++sent < 10_000, "send() never said no");
      if (sent % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(a.events.at(-1)?.kind, "established");
    socket.resume();
    await waitFor(() => a.events.at(-1)?.kind === "drained", { what: "drained" });
    assert.equal(a.peers.send("raw", message), true);
  });

  test("a NOTIFICATION arrives before the end, though the peer keeps talking", async (t) => {
    const a = speaker(t, "127.0.0.2");
    const [port = 0] = await a.peers.listening;
    const socket = connect({ host: "127.0.0.2", port, localAddress: "127.0.0.9" });
    t.after(() => socket.destroy());
    const received: Buffer[] = [];
    let isClosed = false;
    socket.on("data", (bytes) => received.push(bytes));
    socket.on("close", () => {
      isClosed = true;
    });
    socket.on("error", () => {
      isClosed = true;
    });
    socket.on("connect", () => socket.write(new Uint8Array(100_000)));
    await waitFor(() => isClosed, { what: "the end of the connection" });
    assert.deepEqual([...Buffer.concat(received).subarray(18)], [3, 6, 5]);
  });

  test("listening waits for a port that is taken", async (t) => {
    const { server, port } = await rawPeer(t);
    const abort = new AbortController();
    t.after(() => abort.abort());
    const peers = createPeers(
      { listenAddresses: ["127.0.0.1" as IpAddr], listenPort: port, closeQuietly: true },
      {
        clock: systemClock,
        log: createLogger({ name: "bgp", level: "silent" }),
        onEvent: () => undefined,
        signal: abort.signal,
      },
    );
    let isListening = false;
    const listening = peers.listening.then(() => {
      isListening = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(isListening, false);
    server.close();
    await listening;
  });
});

function heard({ events }: Speaker): number {
  let count = 0;
  for (const event of events) {
    if (event.kind !== "update") continue;
    for (const { prefixes } of event.update.announced) count += prefixes.count;
  }
  return count;
}
