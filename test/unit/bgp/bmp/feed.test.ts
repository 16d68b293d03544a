import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { BmpFeed } from "../../../../src/bgp/bmp/feed.ts";
import { BmpReader } from "../../../support/bmp-collector.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { pack } from "../../../support/packed-prefixes.ts";
import { FedSpeaker, nameOf } from "./fed-speaker.ts";

const [a, b] = ["192.0.2.2", "2001:db8::3"];

/** A speaker with two peers, and a reader of all that is told from the start. */
function fed() {
  const speaker = new FedSpeaker([
    { address: a, asn: 65_001 },
    { address: b, asn: 64_512, client: true },
  ]);
  const feed = new BmpFeed(speaker.speaker, new FakeClock());
  const reader = new BmpReader();
  speaker.watch({
    event: (event) => {
      for (const message of feed.messagesOf(event, true)) reader.push(message);
    },
    messages: feed.tap,
  });
  return { speaker, feed, reader };
}

/** What a collector knows that comes now. */
function late(feed: BmpFeed): BmpReader {
  const reader = new BmpReader();
  for (const message of feed.peersUp()) reader.push(message);
  for (const message of feed.routes()) if (message !== undefined) reader.push(message);
  return reader;
}

function routesOf(reader: BmpReader) {
  return Object.fromEntries(
    [...reader.routes].map(([peer, map]) => [peer, Object.fromEntries(map)]),
  );
}

suite("BmpFeed", () => {
  test("tells of a session with both OPENs", () => {
    const { speaker, reader } = fed();
    speaker.up(a);
    assert.deepEqual(reader.messages, [
      {
        type: "peerUp",
        peer: a,
        local: "192.0.2.1",
        ports: [179, 40_000],
        opens: [
          {
            kind: "open",
            asn: 64_512,
            holdSeconds: 90,
            routerId: 0xc0000201,
            capabilities: [{ kind: "fourOctetAs", asn: 64_512 }, { kind: "routeRefresh" }],
          },
          {
            kind: "open",
            asn: 65_001,
            holdSeconds: 240,
            routerId: 0x0a000001,
            capabilities: [{ kind: "fourOctetAs", asn: 65_001 }],
          },
        ],
      },
    ]);
  });

  test("tells what peers announce and withdraw, before policy", () => {
    const { speaker, feed, reader } = fed();
    speaker.up(a);
    speaker.up(b);
    speaker.announce(a, "10.0.0.0/8 10.1.0.0/16");
    speaker.announce(b, "fd00::/64");
    speaker.update(a, { withdrawn: [pack("10.0.0.0/8")] });
    const expected = { [a]: { "10.1.0.0/16": a }, [b]: { "fd00::/64": b } };
    assert.deepEqual(routesOf(reader), expected);
    assert.deepEqual(routesOf(late(feed)), expected);
    assert.deepEqual(late(feed).ended, [`${a} 4`, `${a} 6`, `${b} 4`, `${b} 6`]);
  });

  test("passes End-of-RIB on", () => {
    const { speaker, reader } = fed();
    speaker.up(a);
    speaker.update(a, { endOfRib: [6] });
    assert.deepEqual(reader.ended, [`${a} 6`]);
  });

  test("gives path identifiers and 2-octet ASes as the session has them", () => {
    const { speaker, feed, reader } = fed();
    const families = [{ afi: 1, safi: 1, mode: "both" as const }];
    const both = [{ kind: "addPath", families } as const];
    speaker.up(a, {
      fourOctetAs: false,
      addPath: { receive: [4], send: [] },
      capabilities: { local: both, remote: both },
    });
    speaker.announce(a, { ...pack("10.0.0.0/8"), pathIds: Uint32Array.of(7) });
    assert.deepEqual(routesOf(reader), { [a]: { "10.0.0.0/8#7": a } });
    const known = [...(late(feed).routes.get(a)?.keys() ?? [])];
    assert.match(known.join(), /^10\.0\.0\.0\/8#\d+$/);
  });

  test("a malformed UPDATE is told as the withdrawal that it is treated as, and counted", () => {
    const { speaker, feed, reader } = fed();
    speaker.up(a);
    speaker.announce(a, "10.0.0.0/8 10.1.0.0/16 10.2.0.0/16");
    const withdrawn = [pack("10.0.0.0/8", "10.1.0.0/16")];
    speaker.update(a, { withdrawn, treatedAsWithdraw: "ORIGIN is missing" });
    assert.deepEqual(routesOf(reader), { [a]: { "10.2.0.0/16": a } });
    for (const message of feed.statistics()) reader.push(message);
    assert.deepEqual(reader.messages.at(-1), {
      type: "statistics",
      peer: a,
      counts: { "7": 1, "9/1/1": 1, "9/2/1": 0, "11": 1, "12": 2 },
    });
  });

  for (const [name, direction, reason] of [
    ["our NOTIFICATION", "sent", "local: Cease/Administrative Reset"],
    ["the peer's NOTIFICATION", "received", "remote: Cease/Administrative Reset"],
    ["the end of TCP", undefined, "remote closed"],
  ] as const) {
    test(`tells that a session has ended by ${name}`, () => {
      const { speaker, feed, reader } = fed();
      speaker.up(a);
      if (direction !== undefined) speaker.notification(a, direction, 4);
      speaker.down(a);
      assert.deepEqual(reader.messages.at(-1), { type: "peerDown", peer: a, reason });
      assert.deepEqual(feed.peersUp(), []);
    });
  }

  test("a NOTIFICATION of the session before does not count", () => {
    const { speaker, reader } = fed();
    speaker.up(a);
    speaker.notification(a, "sent", 4);
    speaker.down(a);
    speaker.up(a);
    speaker.down(a);
    assert.deepEqual(reader.messages.at(-1), {
      type: "peerDown",
      peer: a,
      reason: "remote closed",
    });
  });

  test("routes that are stale after a restart are not told, as their session is not the present one", () => {
    const { speaker, feed, reader } = fed();
    const gracefulRestart = {
      restarting: false,
      restartSeconds: 120,
      forwardingKept: [4],
      families: [4],
    } as const;
    speaker.up(a, { gracefulRestart });
    speaker.announce(a, "10.0.0.0/8 10.1.0.0/16");
    speaker.down(a, true);
    speaker.up(a, { gracefulRestart: { ...gracefulRestart, restarting: true } });
    speaker.announce(a, "10.1.0.0/16");
    assert.deepEqual(routesOf(late(feed)), { [a]: { "10.1.0.0/16": a } });
    speaker.update(a, { endOfRib: [4] });
    assert.deepEqual(routesOf(reader), { [a]: { "10.1.0.0/16": a } });
  });

  for (const [name, end] of [
    ["the end of a refresh", "marker"],
    ["the time for it", "timer"],
  ] as const) {
    test(`what a peer does not tell again until ${name} is withdrawn`, () => {
      const { speaker, reader } = fed();
      speaker.up(a);
      speaker.announce(a, "10.0.0.0/8 10.1.0.0/16");
      const marker = (which: "begin" | "end") =>
        speaker.post({
          kind: "peer",
          event: { kind: "refreshMarker", name: nameOf(a), family: 4, marker: which },
        });
      marker("begin");
      speaker.announce(a, "10.1.0.0/16");
      if (end === "marker") marker("end");
      else speaker.post({ kind: "timerExpired", timer: `stale ${nameOf(a)}` });
      assert.deepEqual(routesOf(reader), { [a]: { "10.1.0.0/16": a } });
    });
  }

  test("when nobody listens it still follows sessions", () => {
    const speaker = new FedSpeaker([{ address: a, asn: 65_001 }]);
    const feed = new BmpFeed(speaker.speaker, new FakeClock());
    const told: Uint8Array[] = [];
    speaker.watch({ event: (event) => told.push(...feed.messagesOf(event, false)) });
    speaker.up(a);
    const { length } = told;
    speaker.announce(a, "10.0.0.0/8");
    assert.equal(told.length, length);
    assert.deepEqual(routesOf(late(feed)), { [a]: { "10.0.0.0/8": a } });
  });
});
