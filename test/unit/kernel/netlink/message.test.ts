import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type Attributes,
  attributesOf,
  MessageWriter,
  messagesOf,
  textOf,
  u16beOf,
  u32Of,
} from "../../../../src/kernel/netlink/message.ts";

const bytes = (options: { maxLength: number }) =>
  fc.uint8Array(options).map((array) => Buffer.from(array));

/** Bytes that often look like netlink: small lengths, where lengths stand. */
const almostNetlink = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 40 }), bytes({ maxLength: 40 })), { maxLength: 8 })
  .map((parts) =>
    Buffer.concat(
      parts.flatMap(([length, rest]) => {
        const head = Buffer.alloc(4);
        head.writeUInt32LE(length);
        return [head, rest];
      }),
    ),
  );

test("messagesOf() and attributesOf() throw on no bytes, and give only what lies inside", () => {
  fc.assert(
    fc.property(fc.oneof(bytes({ maxLength: 200 }), almostNetlink), (datagram) => {
      let total = 0;
      for (const { body } of messagesOf(datagram)) {
        total += body.length + 16;
        for (const value of attributesOf(body).values()) assert.ok(value.length <= body.length);
        attributesOf(body, 300);
        for (const value of attributesOf(body).values()) attributesOf(value);
      }
      assert.ok(total <= datagram.length);
      for (const value of attributesOf(datagram).values()) {
        textOf(value);
        u32Of(value);
        u16beOf(value);
      }
    }),
    { numRuns: 2_000 },
  );
});

test("what MessageWriter writes is read back, in whatever sizes", () => {
  const attribute = fc.tuple(fc.integer({ min: 1, max: 0x3fff }), bytes({ maxLength: 3_000 }));
  const message = fc.record({
    type: fc.integer({ min: 16, max: 0xffff }),
    flags: fc.integer({ min: 0, max: 0xffff }),
    sequence: fc.nat(),
    header: bytes({ maxLength: 16 }).map((header) => header.subarray(0, header.length & ~3)),
    attributes: fc.uniqueArray(attribute, { maxLength: 6, selector: ([type]) => type }),
  });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 8 }), (messages) => {
      const writer = new MessageWriter();
      for (const { type, flags, sequence, header, attributes } of messages) {
        writer.begin(type, flags, sequence).header(header);
        for (const [number, value] of attributes) writer.attribute(number, value);
        writer.end();
      }
      const read = [...messagesOf(writer.bytes())].map((message, i) => {
        const length = messages[i]?.header.length ?? 0;
        return {
          type: message.type,
          flags: message.flags,
          sequence: message.sequence,
          header: Buffer.from(message.body.subarray(0, length)),
          attributes: copy(attributesOf(message.body, length)),
        };
      });
      assert.deepEqual(
        read,
        messages.map((message) => ({ ...message, attributes: new Map(message.attributes) })),
      );
    }),
    { numRuns: 300 },
  );
});

function copy(attributes: Attributes): Map<number, Buffer> {
  return new Map([...attributes].map(([type, value]) => [type, Buffer.from(value)]));
}

test("header() keeps its bytes where they make the buffer grow", () => {
  const writer = new MessageWriter().begin(16, 0, 1);
  const header = Buffer.alloc(5_000, 7);
  writer.header(header).end();
  const [message] = messagesOf(writer.bytes());
  assert.ok(message?.body.equals(header));
});

test("nest() holds what was written inside, and what follows stands outside", () => {
  const writer = new MessageWriter().begin(16, 0, 1);
  writer.nest(5, () => writer.u8(1, 7).nest(2, () => writer.text(3, "inner")));
  writer.u32(6, 0xffffffff).u16be(7, 0x1234).end();
  const [message] = messagesOf(writer.bytes());
  const outer = attributesOf(message?.body ?? Buffer.alloc(0));
  const inner = attributesOf(outer.get(5) ?? Buffer.alloc(0));
  assert.deepEqual([...outer.keys()], [5, 6, 7]);
  assert.deepEqual([...inner.keys()], [1, 2]);
  assert.equal(textOf(attributesOf(inner.get(2) ?? Buffer.alloc(0)).get(3)), "inner");
  assert.equal(u32Of(outer.get(6)), 0xffffffff);
  assert.equal(u16beOf(outer.get(7)), 0x1234);
});
