import assert from "node:assert/strict";
import { test } from "node:test";
import { Flushes, TcpOutput } from "../../../../src/bgp/peer/tcp-output.ts";
import type { TcpSocket } from "../../../../src/kernel/tcp-socket.ts";
import { FakeClock } from "../../../support/fake-clock.ts";

const nextRound = () => new Promise((resolve) => setImmediate(resolve));

/** Connections whose system calls take 3 ms each, and the octets of each of those calls. */
function connections(count: number) {
  const clock = new FakeClock();
  const flushes = new Flushes(clock);
  const sends: (readonly [connection: number, octets: readonly number[]])[] = [];
  const outputs = Array.from({ length: count }, (_, i) => {
    const tcp = {
      socket: { writable: true, writableLength: 0 },
      sendNow: (bytes: Uint8Array) => {
        clock.advance(3);
        sends.push([i, [...bytes]]);
        return bytes.length;
      },
    };
    const handlers = { progressed: () => undefined, emptied: () => undefined };
    return new TcpOutput(tcp as unknown as TcpSocket, flushes, handlers);
  });
  return { sends, outputs };
}

test("Of many connections some are written to in a round, and what comes meanwhile goes with it", async () => {
  const { sends, outputs } = connections(7);
  for (const [i, output] of outputs.entries()) output.write(Uint8Array.of(i));
  await Promise.resolve();
  await new Promise(process.nextTick);
  assert.deepEqual(sends, [
    [0, [0]],
    [1, [1]],
    [2, [2]],
  ]);
  outputs[6]?.write(Uint8Array.of(99));
  outputs[0]?.write(Uint8Array.of(98));
  await nextRound();
  assert.equal(sends.length, 6);
  await nextRound();
  assert.deepEqual(sends.slice(3), [
    [3, [3]],
    [4, [4]],
    [5, [5]],
    [6, [6, 99]],
    [0, [98]],
  ]);
});
