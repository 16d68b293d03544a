import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { PrefixList, packPrefixes, unpackPrefix } from "../../../../src/bgp/rib/packed-prefix.ts";
import { type IpFamily, ipFromBits } from "../../../../src/lib/ip-addr.ts";
import { type Prefix, parsePrefix, prefixContains, prefixOf } from "../../../../src/lib/prefix.ts";

function prefixes(family: IpFamily): fc.Arbitrary<Prefix> {
  const bits = family === 4 ? 32 : 128;
  return fc
    .tuple(
      fc.bigInt({ min: 0n, max: (1n << BigInt(bits)) - 1n }),
      fc.integer({ min: 0, max: bits }),
    )
    .map(([address, length]) => prefixOf(ipFromBits(address, family), length));
}

for (const family of [4, 6] as const) {
  test(`packPrefixes() and unpackPrefix() are inverse (IPv${family})`, () => {
    fc.assert(
      fc.property(fc.array(prefixes(family)), (list) => {
        const packed = packPrefixes(list, family);
        assert.deepEqual(
          list.map((_, index) => unpackPrefix(packed, index)),
          list,
        );
      }),
    );
  });

  test(`PrefixList agrees with prefixContains() (IPv${family})`, () => {
    const near = fc.tuple(prefixes(family), fc.integer({ min: 0, max: 32 })).map(([prefix, up]) => {
      const [address = "", length] = prefix.split("/");
      return [prefix, prefixOf(address as never, Math.max(0, Number(length) - up))] as const;
    });
    fc.assert(
      fc.property(near, prefixes(family), ([inner, outer], other) => {
        for (const prefix of [inner, other]) {
          const compared = new PrefixList([outer]).compare(packPrefixes([prefix], family), 0);
          const expected =
            prefix === outer ? "equal" : prefixContains(outer, prefix) ? "inside" : "outside";
          assert.equal(compared, expected);
        }
      }),
    );
  });
}

test("PrefixList finds an equal entry behind one that holds it", () => {
  const list = new PrefixList([parsePrefix("10.0.0.0/8"), parsePrefix("10.1.0.0/16")]);
  assert.equal(list.compare(packPrefixes([parsePrefix("10.1.0.0/16")], 4), 0), "equal");
  assert.equal(list.compare(packPrefixes([parsePrefix("10.1.0.0/26")], 4), 0), "inside");
  assert.equal(list.covers(packPrefixes([parsePrefix("11.0.0.0/16")], 4), 0), false);
  assert.equal(list.covers(packPrefixes([parsePrefix("fd00::/16")], 6), 0), false);
});
