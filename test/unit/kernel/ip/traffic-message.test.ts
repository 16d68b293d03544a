import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  readQdisc,
  readRedirect,
  writeIngress,
  writeRedirect,
  writeTbf,
} from "../../../../src/kernel/ip/traffic-message.ts";
import { MessageWriter, messagesOf } from "../../../../src/kernel/netlink/message.ts";

/** What follows the header of one message. */
function body(fill: (writer: MessageWriter) => void): Buffer {
  const writer = new MessageWriter();
  writer.begin(0, 0, 0);
  fill(writer);
  const [message] = messagesOf(Buffer.from(writer.end().bytes()));
  assert.ok(message);
  return message.body;
}

test("a token bucket filter is read as it is written, also above 32 bits", () => {
  for (const rate of [125, 0xffffffff, 5_000_000_000]) {
    const bucket = { rate, limit: 13_000, buffer: 1_250_000 };
    const read = readQdisc(body((writer) => writeTbf(writer, 7, bucket)));
    assert.deepEqual(read, { ifindex: 7, kind: "tbf", bucket });
  }
});

test("an ingress qdisc and where its filter leads are read as they are written", () => {
  assert.deepEqual(readQdisc(body((writer) => writeIngress(writer, 7))), {
    ifindex: 7,
    kind: "ingress",
  });
  assert.equal(readRedirect(body((writer) => writeRedirect(writer, 7, 9))), 9);
});

test("what is none of these is passed over", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      readQdisc(Buffer.from(bytes));
      readRedirect(Buffer.from(bytes));
    }),
  );
});
