import assert from "node:assert/strict";
import { test } from "node:test";
import { allocateMarkBits, calicoBits } from "../../../../src/felix/rules/mark-bits.ts";

test("allocateMarkBits() gives Calico's bits of the default mask (facts 4.5)", () => {
  const marks = allocateMarkBits(0xffff0000);
  assert.deepEqual(marks, {
    accept: 0x10000,
    pass: 0x20000,
    drop: 0x40000,
    scratch0: 0x80000,
    scratch1: 0x100000,
    wireguard: 0x200000,
  });
  assert.equal(calicoBits(marks), 0x1b0000);
});

test("allocateMarkBits() uses the bits there are, the highest as well", () => {
  const marks = allocateMarkBits(0xf0000001);
  assert.deepEqual(Object.values(marks), [1, 0x10000000, 0x20000000, 0x40000000, 0x80000000]);
  assert.ok(calicoBits(marks) > 0);
});

test("allocateMarkBits() refuses a mask that is too small or too wide", () => {
  for (const mask of [0, 0xf, 0x1_0000_001f, 31.5, -1]) {
    assert.throws(() => allocateMarkBits(mask), /iptablesMarkMask/);
  }
});
