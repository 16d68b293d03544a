import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteReader, ShortRead } from "../../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";

test("what ByteWriter writes, ByteReader reads, also when the buffer grows", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(0xffffffff)), (values) => {
      const writer = new ByteWriter(1);
      for (const value of values)
        writer
          .u8(value & 0xff)
          .u16(value & 0xffff)
          .u32(value);
      const reader = new ByteReader(writer.finish());
      for (const value of values) {
        assert.equal(reader.u8(), value & 0xff);
        assert.equal(reader.u16(), value & 0xffff);
        assert.equal(reader.u32(), value);
      }
      assert.equal(reader.remaining, 0);
    }),
  );
});

test("take() gives a reader that cannot see past its field", () => {
  const reader = new ByteReader(Uint8Array.of(1, 2, 3));
  const field = reader.take(2);
  assert.equal(field.u16(), 0x0102);
  assert.throws(() => field.u8(), ShortRead);
  assert.equal(reader.u8(), 3);
});

test("space(), truncate() and view() work on what was written", () => {
  const writer = new ByteWriter(1).u16(0x0102);
  writer.space(3).set([3, 4, 5]);
  assert.deepEqual(writer.view(1), Uint8Array.of(2, 3, 4, 5));
  assert.deepEqual(writer.truncate(1).u8(9).finish(), Uint8Array.of(1, 9));
});
