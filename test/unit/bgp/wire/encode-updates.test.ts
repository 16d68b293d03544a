import assert from "node:assert/strict";
import { suite, test } from "node:test";
import {
  encodeUpdates,
  encodeWithdrawals,
  writeUpdates,
} from "../../../../src/bgp/wire/encode-updates.ts";
import type { PackedPrefixes, PathAttributes } from "../../../../src/bgp/wire/message.ts";
import type { Asn } from "../../../../src/lib/asn.ts";
import { ByteWriter } from "../../../../src/lib/byte-writer.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";

const nextHop = "10.0.0.1" as IpAddr;
const plain: PathAttributes = { origin: 0, asPath: [] };

suite("encodeUpdates", () => {
  test("fills messages up to 4096 octets", () => {
    // 23 of header and lengths, 14 of attributes, 4 a prefix: 1014 prefixes in 4093 octets.
    const messages = encodeUpdates(
      { attributes: plain, nextHop, prefixes: blocks(3000) },
      { fourOctetAs: true },
    );
    assert.deepEqual(
      messages.map(({ length }) => length),
      [4093, 4093, 23 + 14 + (3000 - 2 * 1014) * 4],
    );
  });

  test("fills extended messages up to 65535 octets (RFC 8654)", () => {
    const announcement = { attributes: plain, nextHop, prefixes: blocks(20_000) };
    const options = { fourOctetAs: true, maxMessageLength: 65535 };
    const lengths = encodeUpdates(announcement, options).map(({ length }) => length);
    assert.deepEqual(lengths, [65533, 23 + 14 + (20_000 - 16374) * 4]);
    const withdrawals = encodeWithdrawals(blocks(20_000), options).map(({ length }) => length);
    assert.deepEqual(withdrawals, [65535, 23 + (20_000 - 16378) * 4]);
  });

  test("writeUpdates() appends to what is there, also when it must withdraw", () => {
    const to = new ByteWriter(1).u8(7);
    writeUpdates({ attributes: plain, nextHop, prefixes: blocks(1) }, { fourOctetAs: true }, to);
    const first = to.length;
    const attributes = withUnknown(4096);
    writeUpdates({ attributes, nextHop, prefixes: blocks(2) }, { fourOctetAs: true }, to);
    assert.equal(to.view()[0], 7);
    assert.equal(first, 1 + 23 + 14 + 4);
    assert.deepEqual([to.view(first)], encodeWithdrawals(blocks(2)));
  });

  test("takes attributes that leave room for one prefix, to the octet", () => {
    const room = 4096 - 23 - 14 - 4 - 4;
    const messages = encodeUpdates(
      { attributes: withUnknown(room), nextHop, prefixes: blocks(2) },
      { fourOctetAs: true },
    );
    assert.deepEqual(
      messages.map(({ length }) => length),
      [4096, 4096],
    );
  });

  test("withdraws what its attributes leave no room for", () => {
    const prefixes = blocks(2);
    const attributes = withUnknown(4096 - 23 - 14 - 4 - 4 + 1);
    const messages = encodeUpdates({ attributes, nextHop, prefixes }, { fourOctetAs: true });
    assert.deepEqual(messages, encodeWithdrawals(prefixes));
    assert.equal(messages.length, 1);
  });

  test("splits an AS path over 255 ASes into segments", () => {
    const asns = Array.from({ length: 300 }, (_, i) => (i + 1) as Asn);
    const attributes: PathAttributes = { origin: 0, asPath: [{ kind: "sequence", asns }] };
    const [message] = encodeUpdates(
      { attributes, nextHop, prefixes: blocks(1) },
      { fourOctetAs: true },
    );
    // Header, lengths, ORIGIN, then AS_PATH: flags, code, length (2), type, number of ASes.
    assert.deepEqual(message?.slice(27, 33), Uint8Array.of(0x50, 2, 0x04, 0xb4, 2, 255));
  });

  test("refuses a next hop of the other family", () => {
    const announcement = { attributes: plain, nextHop: "fd00::1" as IpAddr, prefixes: blocks(1) };
    assert.throws(() => encodeUpdates(announcement, { fourOctetAs: true }), RangeError);
  });
});

/** `count` prefixes of /24: four octets each. */
function blocks(count: number): PackedPrefixes {
  const words = Uint32Array.from({ length: count }, (_, i) => 0x0a000000 + i * 256);
  return { family: 4, count, words, lengths: new Uint8Array(count).fill(24) };
}

/** Attributes of 14 octets, next hop included, and one more of `length` octets and a header of 4. */
function withUnknown(length: number): PathAttributes {
  return { ...plain, unknown: [{ flags: 0xe0, code: 99, value: new Uint8Array(length) }] };
}
