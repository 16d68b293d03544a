import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { missingMembers } from "../../../../src/kernel/ipset/ip-set.ts";
import { WantedSet } from "../../../../src/kernel/ipset/wanted-set.ts";
import { CountedTurns } from "../../../support/counted-turns.ts";

const many = (count: number) =>
  new Set(Array.from({ length: count }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`));
const none: ReadonlySet<string> = new Set();

test("WantedSet reads its members in turns, and its changes too", async () => {
  const set = new WantedSet({ type: "hash:net", members: many(1_000) }, 4);
  assert.equal(set.members.size, 0);
  const turns = new CountedTurns(10);
  await set.read(false, turns);
  assert.deepEqual([set.members.size, turns.taken], [1_000, 100]);
  set.change({ add: none, remove: many(500) });
  await set.read(true, turns);
  assert.deepEqual([set.members.size, set.removed.size, turns.taken], [500, 500, 150]);
  await set.read(true, turns);
  assert.equal(turns.taken, 150);
});

test("missingMembers() compares in turns", async () => {
  const turns = new CountedTurns(10);
  const missing = await missingMembers(many(1_000), many(990), turns);
  assert.deepEqual([missing.length, turns.taken], [10, 100]);
});

const members = fc.uniqueArray(fc.integer({ min: 1, max: 9 }).map((i) => `10.0.0.${i}/32`));
const change = fc.tuple(members, members).map(([add, remove]) => ({
  add: new Set(add),
  remove: new Set(remove).difference(new Set(add)),
}));

test("WantedSet notes what the kernel lacks and has too much, however it came", async () => {
  await fc.assert(
    fc.asyncProperty(members, fc.array(change), async (first, changes) => {
      const set = new WantedSet({ type: "hash:net", members: new Set(first) }, 4);
      await set.read(false, new CountedTurns(1));
      assert.deepEqual([set.added.size, set.removed.size], [0, 0]);
      let expected: ReadonlySet<string> = new Set(first);
      for (const next of changes) {
        set.change(next);
        expected = expected.difference(next.remove).union(next.add);
      }
      await set.read(true, new CountedTurns(1));
      const sorted = (given: Iterable<string>) => [...given].sort();
      assert.deepEqual(sorted(set.members), sorted(expected));
      assert.deepEqual(sorted(set.added), sorted(expected.difference(new Set(first))));
      assert.deepEqual(sorted(set.removed), sorted(new Set(first).difference(expected)));
    }),
  );
});

test("what is given while a set is read is read too", async () => {
  const set = new WantedSet({ type: "hash:net", members: many(3) }, 4);
  const turns = new CountedTurns(1);
  turns.next = async () => {
    if (turns.taken++ === 0) set.change({ add: new Set(["192.0.2.1"]), remove: none });
  };
  await set.read(false, turns);
  assert.ok(set.members.has("192.0.2.1/32"));
});
