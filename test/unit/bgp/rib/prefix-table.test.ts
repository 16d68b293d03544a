import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { PrefixTable } from "../../../../src/bgp/rib/prefix-table.ts";
import { type IpFamily, ipFromBits } from "../../../../src/lib/ip-addr.ts";
import { type Prefix, parsePrefix, prefixOf } from "../../../../src/lib/prefix.ts";
import { cpuMsSince } from "../../../support/cpu-time.ts";

/** Few bits vary, so that prefixes meet often and lie beside each other. */
function prefixes(family: IpFamily): fc.Arbitrary<Prefix> {
  const bits = family === 4 ? 32 : 128;
  return fc
    .tuple(fc.integer({ min: 0, max: 127 }), fc.constantFrom(0, 1, 8, bits - 8, bits - 6, bits))
    .map(([number, length]) => {
      const base = family === 4 ? 0x0af4_0000n : 0xfd00_0000_0000_0001n << 64n;
      return prefixOf(ipFromBits(base + BigInt(number) * 32n, family), length);
    });
}

for (const family of [4, 6] as const) {
  test(`PrefixTable is a map from prefixes to ids (IPv${family})`, () => {
    const steps = fc.array(fc.tuple(fc.boolean(), prefixes(family)), { maxLength: 200 });
    fc.assert(
      fc.property(steps, (list) => {
        const table = new PrefixTable(family);
        const model = new Map<Prefix, number>();
        for (const [isAdd, prefix] of list) {
          const known = model.get(prefix);
          assert.equal(table.findPrefix(prefix), known ?? -1);
          if (isAdd) {
            const id = table.addPrefix(prefix);
            assert.equal(id, known ?? id);
            model.set(prefix, id);
          } else if (known !== undefined) {
            table.remove(known);
            model.delete(prefix);
          }
          assert.equal(table.size, model.size);
        }
        assert.equal(new Set(model.values()).size, model.size);
        const listed = new Map([...table.ids()].map((id) => [table.prefixAt(id), id]));
        assert.deepEqual(listed, model);
      }),
    );
  });
}

test("PrefixTable grows, and keeps the ids", () => {
  const table = new PrefixTable(4);
  const all = Array.from({ length: 20_000 }, (_, i) =>
    prefixOf(ipFromBits(BigInt(i) << 6n, 4), 26),
  );
  const ids = all.map((prefix) => table.addPrefix(prefix));
  assert.deepEqual(
    all.map((prefix) => table.findPrefix(prefix)),
    ids,
  );
  for (const id of ids.slice(0, 10_000)) table.remove(id);
  assert.equal(table.size, 10_000);
  assert.equal(table.findPrefix(all[0] as Prefix), -1);
  assert.equal(table.findPrefix(all[15_000] as Prefix), ids[15_000]);
});

test("PrefixTable gives a freed id again", () => {
  const table = new PrefixTable(4);
  const id = table.addPrefix(parsePrefix("10.0.0.0/26"));
  table.remove(id);
  assert.equal(table.addPrefix(parsePrefix("10.0.0.64/26")), id);
  assert.equal(table.prefixAt(id), "10.0.0.64/26");
  assert.equal(table.idEnd, 1);
});

test("PrefixTable stays fast when runs of several lengths collide", () => {
  // 10.0.0.0/24 and 10.x/16 have the same numbers behind their lengths' offsets.
  const table = new PrefixTable(4);
  const started = process.cpuUsage();
  for (let length = 12; length <= 32; length++) {
    for (let i = 0; i < 3000; i++) {
      table.addPrefix(
        prefixOf(ipFromBits((BigInt(i) << BigInt(32 - length)) & 0xffffffffn, 4), length),
      );
    }
  }
  assert.ok(cpuMsSince(started) < 5_000);
  assert.ok(table.size > 55_000);
});
