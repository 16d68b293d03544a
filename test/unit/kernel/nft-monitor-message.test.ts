import assert from "node:assert/strict";
import { endianness } from "node:os";
import { test } from "node:test";
import fc from "fast-check";
import { changedTables } from "../../../src/kernel/nft-monitor-message.ts";

/** One event: nlmsghdr, nfgenmsg, one attribute. Numbers are in the host's order. */
function event(type: number, family: number, attribute: number, value: string): Buffer {
  const text = Buffer.from(`${value}\0`);
  const length = 16 + 4 + 4 + text.length;
  const message = Buffer.alloc((length + 3) & ~3);
  const view = new DataView(message.buffer, message.byteOffset);
  const little = endianness() === "LE";
  view.setUint32(0, length, little);
  view.setUint16(4, (10 << 8) | type, little);
  message[16] = family;
  view.setUint16(20, 4 + text.length, little);
  view.setUint16(22, attribute, little);
  text.copy(message, 24);
  return message;
}

const newRule = 6;
const newGeneration = 15;

test("changedTables() reads the tables of all messages of a datagram", () => {
  const datagram = Buffer.concat([
    event(newRule, 2, 1, "filter"),
    event(newRule, 10, 1, "nat"),
    event(newGeneration, 0, 1, "x"),
  ]);
  assert.deepEqual(changedTables(datagram), [
    { family: 4, table: "filter" },
    { family: 6, table: "nat" },
  ]);
});

test("changedTables() skips other families, other subsystems and messages without a table", () => {
  const other = event(newRule, 2, 1, "filter");
  other[5] = 6;
  const datagram = Buffer.concat([
    event(newRule, 7, 1, "filter"),
    event(newRule, 2, 3, "filter"),
    endianness() === "LE" ? other : Buffer.alloc(0),
  ]);
  assert.deepEqual(changedTables(datagram), []);
});

test("changedTables() never throws", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(40), (noise, cut) => {
      changedTables(Buffer.from(noise));
      const whole = event(newRule, 2, 1, "filter");
      whole.set(noise.subarray(0, 4), cut % (whole.length - 4));
      changedTables(whole.subarray(0, whole.length - (cut % whole.length)));
    }),
  );
});
