import assert from "node:assert/strict";
import { connect } from "node:net";
import { suite, type TestContext, test } from "node:test";
import { ReadTurns } from "../../../../src/bgp/peer/read-turns.ts";
import { createTcpTransport } from "../../../../src/bgp/peer/tcp-transport.ts";
import type { Connection, IncomingConnection } from "../../../../src/bgp/peer/transport.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { waitFor } from "../../../support/wait-for.ts";

const address = "127.0.0.2" as IpAddr;
/** Octet i of every stream is i modulo a prime, so that nothing can be lost or swapped unseen. */
const pattern = 251;
const stream = new Uint8Array(1_000_000).map((_, i) => i % pattern);

/** What was read of one stream. */
interface Reader {
  length: number;
  isInOrder: boolean;
  isClosed: boolean;
}

/**
 * Takes connections whose bytes take `handlingMs` of the clock each time, and their end 20 ms. `turns`
 * tells which reader was given bytes in which round of the event loop, `ends` when one ended.
 */
function reading(t: TestContext, handlingMs: number, ends: number[] = []) {
  const clock = new FakeClock();
  const readers: Reader[] = [];
  const connections: Connection[] = [];
  const turns: (readonly [round: number, reader: number])[] = [];
  const { promise: fourthTurn, resolve: atFourth } = Promise.withResolvers<void>();
  // The loop's own count: an immediate counts from the middle of one round to that of the next.
  const round = () => performance.nodeTiming.uvMetricsInfo.loopCount;
  const accepted = (connection: IncomingConnection) => {
    const reader = { length: 0, isInOrder: true, isClosed: false };
    const index = readers.push(reader) - 1;
    connections.push(connection);
    t.after(() => connection.close());
    connection.attach({
      connected: () => undefined,
      data: (bytes) => {
        clock.advance(handlingMs);
        turns.push([round(), index]);
        if (turns.length === 4) atFourth();
        const isNext = bytes.every((octet, i) => octet === (reader.length + i) % pattern);
        reader.isInOrder = reader.isInOrder && isNext;
        reader.length += bytes.length;
      },
      closed: () => {
        clock.advance(20);
        ends.push(round());
        reader.isClosed = true;
      },
      progressed: () => undefined,
      drained: () => undefined,
    });
  };
  const { port } = listenOn(t, clock, accepted);
  const open = () => {
    const socket = connect(port, address);
    t.after(() => socket.destroy());
    return socket;
  };
  return {
    readers,
    connections,
    turns,
    fourthTurn,
    connect: open,
    write: () => open().end(stream),
  };
}

function listenOn(
  t: TestContext,
  clock: FakeClock,
  accepted: (connection: IncomingConnection) => void,
) {
  const listener = createTcpTransport({ clock }).listen({ address, port: 0 }, accepted);
  t.after(() => listener.close());
  return listener;
}

suite("reading in turns", () => {
  test("who takes long to handle is given bytes once a round, all in order, before the end", async (t) => {
    const { readers, turns, write } = reading(t, 20);
    for (let i = 0; i < 3; i++) write();
    const isDone = () => readers.length === 3 && readers.every(({ isClosed }) => isClosed);
    await waitFor(isDone, { what: "the streams" });
    for (const { length, isInOrder } of readers) {
      assert.deepEqual([length, isInOrder], [stream.length, true]);
    }
    const rounds = turns.map(([round]) => round);
    assert.ok(turns.length >= 3 * (stream.length / 65_536));
    const most = Math.max(...rounds.map((round) => rounds.filter((r) => r === round).length));
    assert.equal(most, 1);
  });

  test("a turn ends when its time is over, and those that wait go first in the next", async () => {
    const clock = new FakeClock();
    const turns = new ReadTurns(clock);
    const nextRound = () => new Promise((resolve) => setImmediate(resolve));
    const served: string[] = [];
    const reader = (name: string, takesMs: number) => ({
      readOn: () => {
        served.push(name);
        clock.advance(takesMs);
      },
    });
    assert.equal(turns.isOver, false);
    clock.advance(7);
    assert.equal(turns.isOver, false);
    clock.advance(1);
    assert.equal(turns.isOver, true);
    for (const name of ["a", "b", "c"]) turns.wait(reader(name, 5));
    await nextRound();
    assert.deepEqual(served, []);
    await nextRound();
    assert.deepEqual(served, ["a", "b"]);
    turns.wait(reader("d", 0));
    await nextRound();
    assert.deepEqual(served, ["a", "b", "c", "d"]);
    assert.equal(turns.isOver, false);
  });

  test("connections that end at once end one after the other", async (t) => {
    const ends: number[] = [];
    const { readers, connect: open } = reading(t, 0, ends);
    const sockets = Array.from({ length: 20 }, open);
    await waitFor(() => readers.length === 20, { what: "the connections" });
    for (const socket of sockets) socket.destroy();
    await waitFor(() => ends.length === 20, { what: "their ends" });
    const most = Math.max(...ends.map((round) => ends.filter((r) => r === round).length));
    assert.equal(most, 1);
  });

  test("afterPendingReads() waits for the turn of its connection", async (t) => {
    const { readers, connections, fourthTurn, write } = reading(t, 20);
    write();
    write();
    // In that very round: later all may have been read.
    await fourthTurn;
    const before = readers.map(({ length }) => length);
    await Promise.all(
      connections.map(
        (connection, i) =>
          new Promise<void>((resolve) =>
            connection.afterPendingReads(() => {
              assert.ok((readers[i]?.length ?? 0) > (before[i] ?? 0), `reader ${i} had no turn`);
              resolve();
            }),
          ),
      ),
    );
  });
});
