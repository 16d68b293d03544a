import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { refusalOf } from "../../../../src/kernel/netlink/answer.ts";
import type { NetlinkMessage } from "../../../../src/kernel/netlink/message.ts";

function answer(type: number, flags: number, body: Buffer): NetlinkMessage {
  return { type, flags, sequence: 1, body };
}

function errno(code: number, rest = 0): Buffer {
  const body = Buffer.alloc(4 + rest);
  body.writeInt32LE(-code);
  return body;
}

describe("refusalOf()", () => {
  const words = Buffer.concat([
    Buffer.from([11, 0, 1, 0]),
    Buffer.from("no way\0"),
    Buffer.alloc(1),
  ]);

  test("0 is an acknowledgement, a number has the system's words", () => {
    assert.equal(refusalOf(answer(2, 0, errno(0, 16))), undefined);
    const missing = refusalOf(answer(2, 0, errno(19, 16)));
    assert.deepEqual(missing, { errno: 19, message: "no such device" });
    assert.deepEqual(refusalOf(answer(2, 0, errno(4352))), { errno: 4352, message: "errno 4352" });
  });

  test("the kernel's own words are found behind the echoed request, whole or capped", () => {
    const capped = answer(2, 0x300, Buffer.concat([errno(22, 16), words]));
    assert.deepEqual(refusalOf(capped), { errno: 22, message: "no way" });
    const echoed = Buffer.concat([errno(22, 24), words]);
    echoed.writeUInt32LE(24, 4);
    assert.deepEqual(refusalOf(answer(2, 0x200, echoed)), { errno: 22, message: "no way" });
  });

  test("the end of a list may be a refusal", () => {
    assert.equal(refusalOf(answer(3, 0, Buffer.alloc(0))), undefined);
    assert.equal(refusalOf(answer(3, 0, errno(0))), undefined);
    const failed = answer(3, 0x200, Buffer.concat([errno(2), words]));
    assert.deepEqual(refusalOf(failed), { errno: 2, message: "no way" });
  });
});
