import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  encodeFrame,
  FrameReader,
  type HelperAnswer,
} from "../../../src/kernel/exec-helper-protocol.ts";

const text = fc.string({ unit: "binary" });
const answers: fc.Arbitrary<HelperAnswer> = fc
  .tuple(fc.nat(), fc.nat(255), text, text)
  .map(([id, code, stdout, stderr]) => ({ id, result: { code, stdout, stderr } }));

test("frames arrive whole, in order, however a pipe cuts them", () => {
  fc.assert(
    fc.property(
      fc.array(answers, { maxLength: 5 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 40 })),
      (sent, sizes) => {
        const bytes = Buffer.concat(sent.map(encodeFrame));
        const reader = new FrameReader<HelperAnswer>();
        const received: HelperAnswer[] = [];
        for (let at = 0; at < bytes.length; ) {
          const size = sizes.next().value ?? 1;
          received.push(...reader.push(bytes.subarray(at, at + size)));
          at += size;
        }
        assert.deepEqual(received, sent);
      },
    ),
  );
});

test("a length that no message of ours has is refused before it is waited for", () => {
  const reader = new FrameReader<HelperAnswer>();
  assert.throws(() => reader.push(Buffer.from([0xff, 0xff, 0xff, 0xff])), RangeError);
});
