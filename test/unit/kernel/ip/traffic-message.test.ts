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
import { netlinkBody } from "../../../support/netlink-body.ts";

test("a token bucket filter is read as it is written, also above 32 bits", () => {
  for (const rate of [125, 0xffffffff, 5_000_000_000]) {
    const bucket = { rate, limit: 13_000, buffer: 1_250_000 };
    const read = readQdisc(netlinkBody((writer) => writeTbf(writer, 7, bucket)));
    assert.deepEqual(read, { ifindex: 7, kind: "tbf", bucket });
  }
});

test("an ingress qdisc and where its filter leads are read as they are written", () => {
  assert.deepEqual(readQdisc(netlinkBody((writer) => writeIngress(writer, 7))), {
    ifindex: 7,
    kind: "ingress",
  });
  assert.equal(readRedirect(netlinkBody((writer) => writeRedirect(writer, 7, 9))), 9);
});

test("what is none of these is passed over", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      readQdisc(Buffer.from(bytes));
      readRedirect(Buffer.from(bytes));
    }),
  );
});
