import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SyncedTable, type TableDriver } from "../../../src/kernel/synced-table.ts";

/** A kernel of numbers by name, that refuses some keys and may break. */
class FakeTable implements TableDriver<string, number> {
  readonly entries = new Map<string, number>();
  readonly calls: string[] = [];
  refused = new Set<string>();
  broken: "list" | "set" | "remove" | undefined;
  onList: () => void = () => undefined;

  async list(): Promise<ReadonlyMap<string, number>> {
    this.#called("list");
    const found = new Map(this.entries);
    this.onList();
    return found;
  }

  async set(entries: ReadonlyMap<string, number>): Promise<ReadonlyMap<string, string>> {
    this.#called("set");
    return this.#each(entries, (key, value) => this.entries.set(key, value));
  }

  async remove(entries: ReadonlyMap<string, number>): Promise<ReadonlyMap<string, string>> {
    this.#called("remove");
    return this.#each(entries, (key) => this.entries.delete(key));
  }

  equal(a: number, b: number): boolean {
    return a === b;
  }

  #called(what: "list" | "set" | "remove"): void {
    this.calls.push(what);
    if (this.broken === what) throw new Error(`${what} is broken`);
  }

  #each(entries: ReadonlyMap<string, number>, act: (key: string, value: number) => void) {
    const failed = new Map<string, string>();
    for (const [key, value] of entries) {
      if (this.refused.has(key)) failed.set(key, "refused");
      else act(key, value);
    }
    return failed;
  }
}

const key = fc.constantFrom("a", "b", "c", "d");
const step = fc.oneof(
  fc.record({ op: fc.constant("set" as const), key, value: fc.nat({ max: 3 }) }),
  fc.record({ op: fc.constant("delete" as const), key }),
  fc.record({ op: fc.constant("refuse" as const), keys: fc.array(key) }),
  fc.record({
    op: fc.constant("break" as const),
    what: fc.constantFrom("list" as const, "set" as const, "remove" as const, undefined),
  }),
  fc.record({ op: fc.constant("apply" as const) }),
);

test("after any failures, one apply that is let through makes the kernel what is wanted", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const kernel = new FakeTable();
      kernel.entries.set("leftover", 9);
      const table = new SyncedTable(kernel);
      for (const action of steps) {
        if (action.op === "set") table.set(action.key, action.value);
        else if (action.op === "delete") table.delete(action.key);
        else if (action.op === "refuse") kernel.refused = new Set(action.keys);
        else if (action.op === "break") kernel.broken = action.what;
        else await table.apply().catch(() => undefined);
      }
      kernel.refused.clear();
      kernel.broken = undefined;
      const { failed } = await table.apply();
      assert.equal(failed.size, 0);
      assert.deepEqual([...kernel.entries].sort(), [...table.desired].sort());
      const { set, remove } = table.plan();
      assert.deepEqual([set.size, remove.size], [0, 0]);
    }),
  );
});

test("apply() removes first, lists once, and then does only what changed", async () => {
  const kernel = new FakeTable();
  kernel.entries.set("old", 1);
  const table = new SyncedTable(kernel);
  table.set("new", 2);
  assert.deepEqual(await table.apply(), { set: 1, removed: 1, failed: new Map() });
  assert.deepEqual(kernel.calls.splice(0), ["list", "remove", "set"]);
  await table.apply();
  assert.deepEqual(kernel.calls.splice(0), []);
  table.set("new", 3);
  await table.apply();
  assert.deepEqual(kernel.calls.splice(0), ["set"]);
});

test("a key that failed is reported, listed again and tried again; the others are done", async () => {
  const kernel = new FakeTable();
  kernel.refused.add("bad");
  const table = new SyncedTable(kernel);
  table.set("bad", 1);
  table.set("good", 2);
  const report = await table.apply();
  assert.deepEqual(report, { set: 1, removed: 0, failed: new Map([["bad", "refused"]]) });
  assert.deepEqual([...kernel.entries], [["good", 2]]);
  kernel.refused.clear();
  kernel.calls.length = 0;
  assert.equal((await table.apply()).failed.size, 0);
  assert.deepEqual(kernel.calls, ["list", "set"]);
  assert.equal(kernel.entries.get("bad"), 1);
});

test("a removal that failed is tried again", async () => {
  const kernel = new FakeTable();
  kernel.entries.set("old", 1);
  kernel.refused.add("old");
  const table = new SyncedTable(kernel);
  assert.deepEqual([...(await table.apply()).failed.keys()], ["old"]);
  kernel.refused.clear();
  assert.deepEqual(await table.apply(), { set: 0, removed: 1, failed: new Map() });
  assert.equal(kernel.entries.size, 0);
});

test("resync() finds what others did, also when asked for while a list is under way", async () => {
  const kernel = new FakeTable();
  const table = new SyncedTable(kernel);
  table.set("a", 1);
  await table.apply();
  kernel.entries.delete("a");
  kernel.entries.set("foreign", 2);
  await table.apply();
  assert.deepEqual([...kernel.entries.keys()], ["foreign"]);
  table.resync();
  // Right after the list was taken, somebody removes what it holds, and the event arrives.
  kernel.onList = () => {
    kernel.onList = () => undefined;
    kernel.entries.delete("foreign");
    kernel.entries.set("late", 3);
    table.resync();
  };
  await table.apply();
  await table.apply();
  assert.deepEqual([...kernel.entries], [["a", 1]]);
});

test("replaceAll() takes the table's own content too", async () => {
  const table = new SyncedTable(new FakeTable());
  table.set("a", 1);
  table.replaceAll(table.desired);
  assert.deepEqual([...table.desired], [["a", 1]]);
  table.replaceAll(new Map([["b", 2]]));
  assert.deepEqual([...table.desired], [["b", 2]]);
});

test("New entries are there before the old ones go, where the driver wants it so", async () => {
  for (const [setsFirst, order] of [
    [false, ["remove", "set"]],
    [true, ["set", "remove"]],
  ] as const) {
    const kernel = new FakeTable();
    kernel.entries.set("old", 1);
    const table = new SyncedTable(Object.assign(kernel, { setsFirst }));
    table.set("new", 2);
    const { set, removed } = await table.apply();
    assert.deepEqual([set, removed, kernel.calls.slice(1)], [1, 1, order]);
  }
});
