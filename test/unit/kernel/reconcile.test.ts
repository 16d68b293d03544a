import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { plan } from "../../../src/kernel/reconcile.ts";

const table = fc
  .array(fc.tuple(fc.constantFrom("a", "b", "c", "d", "e"), fc.nat({ max: 3 })))
  .map((entries) => new Map(entries));
const equal = (a: number, b: number) => a === b;

test("applying the plan gives what is desired, planning again gives nothing", () => {
  fc.assert(
    fc.property(table, table, (desired, actual) => {
      const { set, remove } = plan(desired, actual, equal);
      const after = new Map(actual);
      for (const key of remove.keys()) assert.ok(after.delete(key));
      for (const [key, value] of set) after.set(key, value);
      assert.deepEqual(new Map([...after].sort()), new Map([...desired].sort()));
      const again = plan(desired, after, equal);
      assert.deepEqual([again.set.size, again.remove.size], [0, 0]);
    }),
  );
});

test("the plan touches nothing that is right already, and tells what it removes", () => {
  fc.assert(
    fc.property(table, table, (desired, actual) => {
      const { set, remove } = plan(desired, actual, equal);
      for (const [key, value] of set) assert.notEqual(actual.get(key), value);
      for (const [key, value] of remove) {
        assert.equal(actual.get(key), value);
        assert.ok(!desired.has(key));
      }
    }),
  );
});
