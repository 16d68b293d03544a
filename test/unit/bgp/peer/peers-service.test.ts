import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { PeerConfig } from "../../../../src/bgp/peer/peer.ts";
import { encodeWithdrawals } from "../../../../src/bgp/wire/encode-updates.ts";
import { encodeNotification } from "../../../../src/bgp/wire/notification.ts";
import { encodeRouteRefresh } from "../../../../src/bgp/wire/route-refresh.ts";
import type { Asn } from "../../../../src/lib/asn.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";
import { hostPrefix } from "../../../../src/lib/prefix.ts";
import { Secret } from "../../../../src/lib/secret.ts";
import { withHeader } from "../../../support/hex.ts";
import { pack, unpack } from "../../../support/packed-prefixes.ts";
import type { MemoryConnection } from "./memory-network.ts";
import {
  addressA,
  addressB,
  downs,
  highWaterBytes,
  kinds,
  peer,
  reasonOf,
  type Speaker,
  stateOf,
  World,
} from "./world.ts";

suite("createPeers", () => {
  test("brings up a session and passes UPDATEs and refresh requests on", () => {
    const world = new World();
    const [a, b] = world.pair();
    const [update] = encodeWithdrawals(pack("10.65.0.0/26"));
    assert.equal(a.peers.send("Mesh_10.0.0.2", update as Uint8Array), true);
    a.peers.send("Mesh_10.0.0.2", encodeRouteRefresh(4));
    world.pass(1);
    assert.deepEqual(kinds(b), ["established", "update", "refreshRequested"]);
    const heard = b.events[1];
    assert.ok(heard?.kind === "update");
    assert.deepEqual(
      heard.update.withdrawn.flatMap((each) => unpack(each)),
      ["10.65.0.0/26"],
    );
  });

  test("tells what both OPENs agree on", () => {
    const world = new World();
    const [a] = world.pair({ holdSeconds: 30, families: [4, 6] });
    const [event] = a.events;
    assert.ok(event?.kind === "established");
    const { capabilities, ...negotiated } = event.negotiated;
    assert.equal(capabilities?.local.length, capabilities?.remote.length);
    assert.deepEqual(negotiated, {
      holdSeconds: 30,
      keepaliveSeconds: 10,
      families: [4, 6],
      fourOctetAs: true,
      routeRefresh: true,
      enhancedRouteRefresh: true,
      extendedMessages: true,
      extendedNextHop: false,
      peerRouterId: 2,
      peerAs: 64512,
      localAddress: addressA,
      peerAddress: addressB,
      offeredHoldSeconds: { local: 30, remote: 30 },
      gracefulRestart: {
        restarting: false,
        restartSeconds: 120,
        families: [4, 6],
        forwardingKept: [],
        notification: true,
      },
    });
  });

  test("listens on other addresses while sessions go on", () => {
    const world = new World();
    const [a, b] = world.pair();
    const another = "2001:db8::1" as IpAddr;
    b.peers.listenOn([addressB, another]);
    assert.deepEqual(
      [...world.network.listeners.keys()],
      [`${addressA}:179`, `${addressB}:179`, `${another}:179`],
    );
    b.peers.listenOn([another]);
    world.pass(1);
    assert.deepEqual([...world.network.listeners.keys()], [`${addressA}:179`, `${another}:179`]);
    assert.deepEqual([kinds(a), kinds(b)], [["established"], ["established"]]);
    b.stop();
    assert.deepEqual([...world.network.listeners.keys()], [`${addressA}:179`]);
  });

  test("keeps a session for hours by KEEPALIVEs", () => {
    const world = new World();
    const [a, b] = world.pair({ holdSeconds: 9 });
    world.pass(600);
    assert.deepEqual([kinds(a), kinds(b)], [["established"], ["established"]]);
  });

  test("of two connections at once the one of the higher router id is kept, without a flap", () => {
    for (const order of ["ab", "ba"]) {
      const world = new World();
      const [a, b] = [world.speaker(addressA), world.speaker(addressB)];
      const configure = {
        a: () => a.peers.configure([peer(a, b)]),
        b: () => b.peers.configure([peer(b, a)]),
      };
      for (const who of order) configure[who as "a" | "b"]();
      world.pass(10);
      assert.deepEqual([kinds(a), kinds(b)], [["established"], ["established"]]);
      const open = world.network.connections.filter(({ isClosed }) => !isClosed);
      assert.deepEqual(
        open.map(({ localAddress }) => localAddress),
        [addressB],
      );
    }
  });

  test("a passive peer never connects", () => {
    const world = new World();
    const [a, b] = [world.speaker(addressA), world.speaker(addressB)];
    a.peers.configure([peer(a, b, { passive: true })]);
    world.pass(300);
    assert.equal(world.network.attempts.get(addressA), undefined);
    assert.equal(stateOf(a), "Active");
  });

  test("connects at once, soon again and then every 5 s while nobody answers", () => {
    const world = new World();
    const a = world.speaker(addressA);
    const nobody = { address: addressB } as Speaker;
    a.peers.configure([peer(a, nobody)]);
    const attempts = () => world.network.attempts.get(addressA) ?? 0;
    assert.equal(attempts(), 1);
    world.pass(1);
    assert.deepEqual([stateOf(a), reasonOf(a)], ["Active", "Connection refused"]);
    assert.equal(attempts(), 3);
    world.pass(7);
    assert.equal(attempts(), 6);
    world.pass(60);
    assert.ok(attempts() >= 17 && attempts() <= 18, `${attempts()} attempts`);
  });

  test("a wrong AS is refused with a NOTIFICATION and tried ever more slowly", () => {
    const world = new World();
    const [a, b] = [world.speaker(addressA), world.speaker(addressB)];
    a.peers.configure([peer(a, b, { remoteAs: 65000 as Asn })]);
    b.peers.configure([peer(b, a, { passive: true })]);
    world.pass(300);
    assert.match(reasonOf(a) ?? "", /The peer's AS is 64512, configured is 65000/);
    assert.match(reasonOf(b) ?? "", /OPEN Message Error\/Bad Peer AS/);
    const attempts = world.network.attempts.get(addressA) ?? 0;
    assert.ok(attempts >= 6 && attempts < 20, `${attempts} attempts`);
    assert.deepEqual([kinds(a), kinds(b)], [[], []]);
  });

  test("start() lets a damped peer connect at once, and forgives it", () => {
    const world = new World();
    const [a, b] = [world.speaker(addressA), world.speaker(addressB)];
    a.peers.configure([peer(a, b, { remoteAs: 65000 as Asn })]);
    b.peers.configure([peer(b, a, { passive: true })]);
    world.pass(300);
    const attempts = () => world.network.attempts.get(addressA) ?? 0;
    const before = attempts();
    a.peers.start("Mesh_10.0.0.2");
    assert.equal(attempts(), before + 1);
    world.pass(2);
    assert.ok(attempts() >= before + 3, "tried again soon");
    a.peers.start("nobody");
  });

  test("a connection of no peer gets Cease/Connection Rejected", () => {
    const world = new World();
    const [a, b] = [world.speaker(addressA), world.speaker(addressB)];
    b.peers.configure([peer(b, a)]);
    world.pass(0.2);
    assert.match(reasonOf(b) ?? "", /Cease\/Connection Rejected/);
  });

  test("a silent peer is given up after the hold time, with a NOTIFICATION", () => {
    const world = new World();
    const [a] = world.pair({ holdSeconds: 30 });
    world.network.isCut = true;
    world.pass(28);
    assert.equal(stateOf(a), "Established");
    world.pass(12);
    assert.deepEqual(downs(a), [["Hold timer expired", true]]);
    const last = world.network.connections[0]?.written.at(-1);
    assert.deepEqual(last?.slice(18, 21), Uint8Array.of(3, 4, 0));
  });

  test("a process that was busy for the hold time reads before it gives up", () => {
    const world = new World();
    const [a, b] = world.pair({ holdSeconds: 30 });
    const [update] = encodeWithdrawals(pack("10.65.0.0/26"));
    b.peers.send("Mesh_10.0.0.1", update as Uint8Array);
    world.clock.jump(31_000);
    world.network.run();
    assert.deepEqual([stateOf(a), downs(a)], ["Established", []]);
    assert.deepEqual(kinds(a), ["established", "update"]);
  });

  test("configure() leaves a peer with an equal config alone", () => {
    const world = new World();
    const [a, b] = world.pair();
    a.peers.configure([peer(a, b)]);
    world.pass(5);
    assert.deepEqual([kinds(a), kinds(b)], [["established"], ["established"]]);
  });

  test("configure() resets a changed peer and ends a removed one, each with its Cease", () => {
    const world = new World();
    const [a, b] = world.pair();
    a.peers.configure([peer(a, b, { holdSeconds: 60 })]);
    world.pass(10);
    assert.deepEqual(kinds(a), ["established", "down", "established"]);
    assert.match(String(downs(b)[0]), /Cease\/Other Configuration Change/);
    a.peers.configure([]);
    world.pass(1);
    assert.match(String(downs(b)[1]), /Cease\/Peer De-configured/);
    assert.deepEqual(a.peers.status(), []);
    assert.equal(a.peers.send("Mesh_10.0.0.2", new Uint8Array(19)), false);
  });

  test("configure() from inside an event ends the session in order", () => {
    const world = new World();
    const [a, b] = world.pair();
    const push = a.events.push.bind(a.events);
    a.events.push = (event) => {
      if (event.kind === "update") a.peers.configure([]);
      return push(event);
    };
    const [update] = encodeWithdrawals(pack("10.65.0.0/26"));
    b.peers.send("Mesh_10.0.0.1", update as Uint8Array);
    world.pass(1);
    assert.deepEqual(kinds(a), ["established", "update", "down"]);
    assert.match(String(downs(b)), /Cease\/Peer De-configured/);
  });

  for (const [closeQuietly, gracefulRestartSeconds, reason, graceful] of [
    [false, 120, "Received NOTIFICATION Cease/Hard Reset: Cease/Administrative Shutdown", false],
    [true, 120, "The peer has closed", true],
    [true, 0, "Received NOTIFICATION Cease/Administrative Shutdown", false],
  ] as const) {
    const what = `${closeQuietly ? "quiet" : "loud"} end, restart time ${gracefulRestartSeconds}`;
    test(`${what}: the peer hears "${reason}"`, async () => {
      const world = new World();
      const [a, b] = world.pair({ gracefulRestartSeconds }, { closeQuietly });
      a.stop();
      world.pass(1);
      await a.peers.ended;
      assert.deepEqual(downs(b), [[reason, graceful]]);
    });
  }

  test("a peer that comes back without having said goodbye replaces its old connection", () => {
    const world = new World();
    const [a, b] = world.pair();
    world.pass(10);
    world.network.isCut = true;
    a.stop();
    world.pass(1);
    world.network.isCut = false;
    const again = world.speaker(addressA);
    again.peers.configure([peer(again, b)]);
    world.pass(1);
    assert.deepEqual(downs(b), [["The peer opened a new connection", true]]);
    assert.deepEqual([stateOf(b), stateOf(again)], ["Established", "Established"]);
  });

  test("send() is false over the high-water mark until the queue is empty", () => {
    const world = new World();
    const [a] = world.pair();
    const connection = world.network.connections[0];
    assert.ok(connection);
    connection.queuedBytes = highWaterBytes;
    assert.equal(a.peers.send("Mesh_10.0.0.2", encodeRouteRefresh(4)), true);
    connection.queuedBytes = highWaterBytes + 1;
    assert.equal(a.peers.send("Mesh_10.0.0.2", encodeRouteRefresh(4)), false);
    connection.queuedBytes = 0;
    connection.handlers?.drained();
    connection.handlers?.drained();
    assert.deepEqual(kinds(a), ["established", "drained"]);
  });

  test("a queue at its limit ends the session", () => {
    const world = new World();
    const [a] = world.pair();
    const connection = world.network.connections[0];
    assert.ok(connection);
    connection.queuedBytes = highWaterBytes * 16;
    a.peers.send("Mesh_10.0.0.2", encodeRouteRefresh(4));
    assert.equal(stateOf(a), "Established");
    connection.queuedBytes++;
    a.peers.send("Mesh_10.0.0.2", encodeRouteRefresh(4));
    assert.match(String(downs(a)), /The send queue has 16001 octets/);
  });

  test("a peer that takes no bytes for 8 minutes is given up, though it speaks", () => {
    const world = new World();
    const [a] = world.pair();
    const connection = world.network.connections[0];
    assert.ok(connection);
    connection.queuedBytes = 10;
    world.pass(470);
    assert.equal(stateOf(a), "Established");
    world.pass(70);
    assert.deepEqual(downs(a)[0], ["Send hold timer expired: the peer takes no bytes", true]);
  });

  test("a peer whose key the listener cannot take stays Idle and is refused until it can", () => {
    const world = new World();
    const [a, b] = [world.speaker(addressA), world.speaker(addressB)];
    const host = hostPrefix(addressB);
    world.network.badKeys.set(host, "no room");
    const password = new Secret("key");
    a.peers.configure([peer(a, b, { password })]);
    b.peers.configure([peer(b, a)]);
    world.pass(2);
    assert.deepEqual([stateOf(a), reasonOf(a)], ["Idle", "no room"]);
    assert.equal(world.network.attempts.get(addressA), undefined);
    assert.deepEqual([kinds(a), kinds(b)], [[], []]);
    world.network.badKeys.clear();
    world.pass(40);
    assert.deepEqual(world.network.keys.get(addressA), new Map([[host, password]]));
    assert.deepEqual([kinds(a), kinds(b)], [["established"], ["established"]]);
  });

  test("a changed password resets its peer, and a peer that is gone has no key", () => {
    const world = new World();
    const [a, b] = world.pair({ password: new Secret("one") });
    a.peers.configure([peer(a, b, { password: new Secret("one") })]);
    world.pass(1);
    assert.deepEqual(kinds(a), ["established"]);
    a.peers.configure([peer(a, b, { password: new Secret("two") })]);
    world.pass(1);
    assert.deepEqual(kinds(a), ["established", "down", "established"]);
    a.peers.configure([]);
    assert.deepEqual(world.network.keys.get(addressA), new Map());
  });

  test("a peer from too far away is refused, and its status says so", () => {
    const world = new World();
    world.network.hops = 2;
    const [a, b] = [world.speaker(addressA), world.speaker(addressB)];
    a.peers.configure([peer(a, b, { passive: true, ttlSecurityHops: 1 })]);
    b.peers.configure([peer(b, a)]);
    world.pass(2);
    assert.deepEqual([stateOf(a), reasonOf(a)], ["Active", "The peer is more than 1 hops away"]);
    assert.deepEqual([kinds(a), kinds(b)], [[], []]);
  });

  test("failures make a peer wait, and no longer than idleHoldSeconds", () => {
    const opens = (changes: Partial<PeerConfig>) => {
      const world = new World();
      const [a, b] = [world.speaker(addressA), world.speaker(addressB)];
      a.peers.configure([peer(a, b, changes)]);
      b.peers.configure([peer(b, a, { remoteAs: 65000 as Asn, passive: true })]);
      world.pass(120);
      return a.peers.status()[0]?.counters?.sent.open ?? 0;
    };
    const [patient, eager] = [opens({}), opens({ idleHoldSeconds: 1 })];
    assert.ok(patient < 15, `${patient} tries`);
    assert.ok(eager > 60, `${eager} tries`);
  });

  test("a shut-down peer stays Idle, and the other end hears why", () => {
    const world = new World();
    const [a, b] = world.pair();
    a.peers.configure([peer(a, b, { shutdown: { message: "maintenance" } })]);
    world.pass(30);
    assert.deepEqual([stateOf(a), reasonOf(a)], ["Idle", "Administratively down: maintenance"]);
    const words = /Cease\/Hard Reset: Cease\/Administrative Shutdown: "maintenance"/;
    assert.match(String(downs(b)[0]), words);
    assert.match(b.peers.status()[0]?.lastError ?? "", words);
    a.peers.configure([peer(a, b)]);
    world.pass(30);
    assert.deepEqual(kinds(a), ["established", "down", "established"]);
  });

  for (const [who, passive, seconds] of [
    ["connects", false, 0.5],
    ["is passive", true, 5],
  ] as const) {
    test(`a peer that ${who} is up soon after a long shutdown`, () => {
      const world = new World();
      const [a, b] = world.pair();
      a.peers.configure([peer(a, b, { passive, shutdown: { message: "" } })]);
      b.peers.configure([peer(b, a)]);
      world.pass(120);
      a.peers.configure([peer(a, b, { passive })]);
      world.pass(seconds);
      assert.deepEqual([stateOf(a), stateOf(b)], ["Established", "Established"]);
    });
  }

  test("a peer that restarts may come back at once, but not again and again", () => {
    const world = new World();
    const [a, b] = [world.speaker(addressA), world.speaker(addressB)];
    b.peers.configure([peer(b, a, { passive: true })]);
    const ups = [];
    for (let i = 0; i < 6; i++) {
      a.peers.configure([peer(a, b, { holdSeconds: 90 + i })]);
      world.network.run();
      ups.push(stateOf(b) === "Established");
      world.network.connections.at(-1)?.other?.ends("reset");
      a.peers.configure([]);
      world.network.run();
    }
    assert.deepEqual(ups, [true, true, true, true, false, false]);
  });

  test("reset() ends a session with its words, and it comes back by itself", () => {
    const world = new World();
    const [a, b] = world.pair();
    a.peers.reset("Mesh_10.0.0.2", 4, "try again");
    world.pass(2);
    const reason = 'Received NOTIFICATION Cease/Administrative Reset: "try again"';
    assert.deepEqual(downs(b), [[reason, true]]);
    assert.deepEqual(kinds(a), ["established", "down", "established"]);
    assert.equal(b.peers.status()[0]?.lastError, reason);
    a.peers.reset("Mesh_10.0.0.2", 1);
    world.pass(1);
    assert.equal(downs(b)[1]?.[1], false);
    assert.deepEqual(kinds(b).length, 5);
  });

  test("counts messages, and tells what was negotiated while Established", () => {
    const world = new World();
    const [a, b] = world.pair({ holdSeconds: 30 });
    const [update = new Uint8Array(0)] = encodeWithdrawals(pack("10.65.0.0/26"));
    a.peers.send("Mesh_10.0.0.2", Buffer.concat([update, update, encodeRouteRefresh(4)]));
    world.pass(25);
    const [ours, theirs] = [a.peers.status()[0], b.peers.status()[0]];
    assert.deepEqual(ours?.counters?.sent, theirs?.counters?.received);
    const { bytes, ...sent } = ours?.counters?.sent ?? { bytes: 0 };
    assert.deepEqual(sent, { open: 1, update: 2, notification: 0, keepalive: 3, routeRefresh: 1 });
    assert.ok(bytes > 100);
    assert.deepEqual(
      [ours?.counters?.established, ours?.counters?.queuedBytes, ours?.negotiated?.holdSeconds],
      [1, 0, 30],
    );
    b.peers.configure([]);
    world.pass(0.1);
    assert.equal(a.peers.status()[0]?.negotiated, undefined);
  });

  test("counts malformed UPDATEs, and tells the last of them", () => {
    const world = new World();
    const [a, b] = world.pair();
    const send = (body: string) => a.peers.send("Mesh_10.0.0.2", withHeader(2, body));
    const [origin, rest] = ["40010100", "400200 40030464636361 180a0102"];
    send(`0000 0012 ${origin} 40060100 ${rest}`);
    send(`0000 000e 40010103 ${rest}`);
    send(`0000 000e ${origin} ${rest}`);
    world.pass(0.1);
    const [status] = b.peers.status();
    const { attributeDiscard, treatedAsWithdraw } = status?.counters ?? {};
    assert.deepEqual([attributeDiscard, treatedAsWithdraw], [1, 1]);
    assert.equal(
      status?.lastError,
      "Malformed UPDATE treated as withdraw: ORIGIN of 1 octets is malformed",
    );
    assert.equal(status?.state, "Established");
  });

  test("refresh markers are told, what is not negotiated or not known is ignored", () => {
    const world = new World();
    const [a, b] = world.pair();
    for (const subtype of [1, 2, 3, 0])
      a.peers.send("Mesh_10.0.0.2", encodeRouteRefresh(4, subtype));
    a.peers.send("Mesh_10.0.0.2", encodeRouteRefresh(6));
    world.pass(0.1);
    assert.deepEqual(
      b.events.slice(1).map((event) => ("marker" in event ? event.marker : event.kind)),
      ["begin", "end", "refreshRequested"],
    );
  });

  for (const extendedMessages of [true, false]) {
    test(`extended messages: ${extendedMessages}`, () => {
      const world = new World();
      const [a, b] = world.pair({ extendedMessages });
      const long = (octets: number): Uint8Array => {
        const prefixes = Array.from({ length: 3000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`);
        const [message] = encodeWithdrawals(pack(...prefixes), { maxMessageLength: octets });
        return message ?? new Uint8Array(0);
      };
      a.peers.send("Mesh_10.0.0.2", long(4096));
      world.pass(1);
      assert.deepEqual(kinds(b), ["established", "update"]);
      a.peers.send("Mesh_10.0.0.2", long(65_535));
      world.pass(1);
      if (extendedMessages) assert.deepEqual(kinds(b), ["established", "update", "update"]);
      else assert.equal(downs(b)[0]?.[0], "A message of type 2 is 12023 octets long");
    });
  }

  test("with DelayOpen the peer's OPEN is waited for, and ours goes out in the end", () => {
    const world = new World();
    const [a, b] = [world.speaker(addressA), world.speaker(addressB)];
    a.peers.configure([peer(a, b, { delayOpenSeconds: 3 })]);
    b.peers.configure([peer(b, a, { passive: true, delayOpenSeconds: 60 })]);
    world.pass(2);
    assert.deepEqual([stateOf(a), stateOf(b)], ["Connect", "Active"]);
    world.pass(2);
    assert.deepEqual([kinds(a), kinds(b)], [["established"], ["established"]]);
  });

  test("a peer that refuses optional parameters gets an OPEN without", () => {
    const world = new World();
    const [a, b] = [world.speaker(addressA), { address: addressB } as Speaker];
    const heard: MemoryConnection[] = [];
    world.network.host(addressB).listen({ address: addressB, port: 179 }, (connection) => {
      const old = connection as MemoryConnection;
      heard.push(old);
      old.attach({
        data: (bytes) => {
          // The length of the optional parameters.
          if (bytes[18] !== 1 || bytes[28] === 0) return;
          old.write(encodeNotification({ code: 2, subcode: 4, data: new Uint8Array(0) }));
          void old.close();
        },
        connected: () => undefined,
        closed: () => undefined,
        drained: () => undefined,
        progressed: () => undefined,
      });
    });
    a.peers.configure([peer(a, b)]);
    world.pass(2);
    assert.equal(heard.length, 2);
    assert.equal(stateOf(a), "OpenSent");
  });

  test("bytes that are no BGP end the session with a header error", () => {
    const world = new World();
    const [a, b] = world.pair();
    a.peers.send("Mesh_10.0.0.2", new Uint8Array(30));
    world.pass(0.1);
    assert.deepEqual(downs(b), [["The marker is not all ones", true]]);
    assert.match(String(downs(a)), /Message Header Error\/Connection Not Synchronized/);
  });
});
