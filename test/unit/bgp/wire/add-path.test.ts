import assert from "node:assert/strict";
import { suite, test } from "node:test";
import * as fc from "fast-check";
import type { DecodeContext } from "../../../../src/bgp/wire/context.ts";
import {
  encodeEndOfRib,
  encodeUpdates,
  encodeWithdrawals,
} from "../../../../src/bgp/wire/encode-updates.ts";
import type {
  PackedPrefixes,
  PathAttributes,
  UpdateMessage,
} from "../../../../src/bgp/wire/message.ts";
import { decodeUpdate } from "../../../../src/bgp/wire/update.ts";
import type { IpAddr, IpFamily } from "../../../../src/lib/ip-addr.ts";
import { fromHex } from "../../../support/hex.ts";
import { pack, unpack } from "../../../support/packed-prefixes.ts";

const both: DecodeContext = {
  fourOctetAs: true,
  external: false,
  families: [4, 6],
  addPath: [4, 6],
};
const options = { fourOctetAs: true, addPath: true };
const plain: PathAttributes = { origin: 0, asPath: [] };
const nextHops: Readonly<Record<IpFamily, IpAddr>> = {
  4: "10.0.0.1" as IpAddr,
  6: "fd00::1" as IpAddr,
};

suite("ADD-PATH", () => {
  test("encodeWithdrawals() writes the path identifier before each IPv4 prefix", () => {
    const [message] = encodeWithdrawals(
      ids(pack("10.0.0.0/8", "0.0.0.0/0"), 1, 0xffffffff),
      options,
    );
    assert.deepEqual(message?.subarray(19), fromHex("000b 00000001 08 0a ffffffff 00 0000"));
  });

  test("encodeWithdrawals() writes the path identifier into MP_UNREACH_NLRI", () => {
    const [message] = encodeWithdrawals(ids(pack("fd00::/16"), 7), options);
    const body = fromHex("0000 000e 90 0f 000a 0002 01 00000007 10 fd00");
    assert.deepEqual(message?.subarray(19), body);
  });

  test("a path identifier that the routes lack is written as 0", () => {
    const [message] = encodeWithdrawals(pack("10.0.0.0/8"), options);
    assert.deepEqual(message?.subarray(19), fromHex("0006 00000000 08 0a 0000"));
  });

  test("a family without ADD-PATH is read without identifiers beside one with it", () => {
    const update = decode(fromHex("0006 00000000 08 0a 0000"), { ...both, addPath: [6] });
    assert.deepEqual(update?.withdrawn.flatMap(unpack), [
      ...Array.from({ length: 4 }, () => "0.0.0.0/0"),
      "10.0.0.0/8",
    ]);
    assert.equal(update?.withdrawn[0]?.pathIds, undefined);
  });

  test("End-of-RIB has no path identifier", () => {
    for (const family of [4, 6] as const) {
      assert.deepEqual(decode(encodeEndOfRib(family).subarray(19), both)?.endOfRib, [family]);
    }
  });

  test("a field that ends within a path identifier or behind one resets the session", () => {
    for (const withdrawn of ["0002 0000", "0004 00000001", "0008 00000001 08 0a 0000"]) {
      assert.equal(decode(fromHex(`${withdrawn} 0000`), both), undefined);
    }
  });

  test("what encodeUpdates() writes is decoded to the same prefixes and identifiers", () => {
    const rows = fc.array(fc.tuple(fc.nat(0xffff), fc.nat(0xffffffff)), {
      minLength: 1,
      maxLength: 2000,
      size: "max",
    });
    fc.assert(
      fc.property(fc.constantFrom<IpFamily>(4, 6), rows, (family, routes) => {
        const texts = routes.map(([n]) =>
          family === 4 ? `10.${n >> 8}.${n & 255}.0/24` : `fd00:${n.toString(16)}::/32`,
        );
        const prefixes = ids(pack(...texts), ...routes.map(([, id]) => id));
        const announcement = { attributes: plain, nextHop: nextHops[family], prefixes };
        const messages = encodeUpdates(announcement, options);
        assert.ok(messages.every(({ length }) => length <= 4096));
        const seen = messages.flatMap((bytes) => decode(bytes.subarray(19), both)?.announced ?? []);
        assert.deepEqual(
          seen.flatMap((each) => [...(each.prefixes.pathIds ?? [])]),
          [...(prefixes.pathIds ?? [])],
        );
        assert.deepEqual(
          seen.flatMap((each) => unpack(each.prefixes)),
          unpack(prefixes),
        );
      }),
      { numRuns: 30 },
    );
  });
});

function ids(prefixes: PackedPrefixes, ...pathIds: number[]): PackedPrefixes {
  return { ...prefixes, pathIds: Uint32Array.from(pathIds) };
}

/** Undefined when the session is reset. */
function decode(body: Uint8Array, context: DecodeContext): UpdateMessage | undefined {
  const decoded = decodeUpdate(body, context);
  return decoded.ok ? decoded.message : undefined;
}
