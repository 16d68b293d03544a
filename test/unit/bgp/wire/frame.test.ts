import assert from "node:assert/strict";
import { suite, test } from "node:test";
import * as fc from "fast-check";
import { FrameSplitter } from "../../../../src/bgp/wire/frame.ts";
import { fromHex } from "../../../support/hex.ts";
import { vectors } from "../../../vectors/vectors.ts";

const marker = "ff".repeat(16);

suite("FrameSplitter", () => {
  test("push() gives the same messages however the stream is cut", () => {
    const messages = vectors.filter(({ isFramed }) => isFramed).map(({ bytes }) => bytes);
    const stream = Buffer.concat(messages);
    const bodies = messages.map((bytes) => Buffer.from(bytes.subarray(19)).toString("hex"));
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 60 })), (cuts) => {
        const splitter = new FrameSplitter();
        const seen: string[] = [];
        let at = 0;
        for (const cut of [...cuts, stream.length]) {
          const chunk = stream.subarray(at, at + cut);
          const problem = splitter.push(chunk, ({ body }) =>
            seen.push(Buffer.from(body).toString("hex")),
          );
          assert.equal(problem, undefined);
          at += chunk.length;
        }
        assert.deepEqual(seen, bodies);
      }),
    );
  });

  test("a message of 4096 octets is taken, whole or in pieces", () => {
    const message = new Uint8Array(4096).fill(0xff, 0, 16);
    message.set([0x10, 0x00, 2], 16);
    for (const size of [4096, 1000]) {
      const splitter = new FrameSplitter();
      const lengths: number[] = [];
      for (let at = 0; at < message.length; at += size) {
        splitter.push(message.subarray(at, at + size), ({ body }) => lengths.push(body.length));
      }
      assert.deepEqual(lengths, [4077]);
    }
  });

  test("extended messages are taken once they are allowed (RFC 8654), whole or in pieces", () => {
    const message = new Uint8Array(65535).fill(0xff, 0, 16);
    message.set([0xff, 0xff, 2], 16);
    message[65534] = 7;
    for (const size of [65535, 60_000, 5000, 100]) {
      const splitter = new FrameSplitter();
      splitter.allowExtended();
      const seen: (number | undefined)[] = [];
      for (let at = 0; at < message.length; at += size) {
        const chunk = message.subarray(at, at + size);
        splitter.push(chunk, ({ body }) => seen.push(body.length, body.at(-1)));
      }
      assert.deepEqual(seen, [65516, 7]);
    }
  });

  test("an extended OPEN or KEEPALIVE is refused also where extended messages are allowed", () => {
    for (const hex of [`${marker} 1001 01`, `${marker} 1001 04`, `${marker} 0014 04`]) {
      const splitter = new FrameSplitter();
      splitter.allowExtended();
      const problem = splitter.push(fromHex(hex), () => assert.fail("no message"));
      assert.equal(problem?.notification.subcode, 2);
    }
  });

  const bad = vectors.filter(({ isFramed }) => !isFramed);
  for (const { name, bytes, expected } of bad) {
    test(`push() refuses ${name}, whole or octet by octet`, () => {
      const whole = new FrameSplitter().push(bytes, () => assert.fail("no message"));
      const splitter = new FrameSplitter();
      const pieces = [...bytes].map((octet) =>
        splitter.push(Uint8Array.of(octet), () => assert.fail("no message")),
      );
      for (const problem of [whole, pieces.at(-1)]) {
        assert.deepEqual({ error: problem?.notification }, expected);
      }
    });
  }
});
