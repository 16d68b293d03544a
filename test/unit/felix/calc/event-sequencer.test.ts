import { strict as assert } from "node:assert";
import { test } from "node:test";
import { EventSequencer } from "../../../../src/felix/calc/event-sequencer.ts";
import type { DataplaneUpdate, UpdateKind } from "../../../../src/felix/calc/updates.ts";

function set(kind: UpdateKind, id: string, value: unknown = {}): DataplaneUpdate {
  return { op: "set", kind, id, value } as DataplaneUpdate;
}

function remove(kind: UpdateKind, id: string): DataplaneUpdate {
  return { op: "remove", kind, id };
}

function told(updates: readonly DataplaneUpdate[]): string[] {
  return updates.map(({ op, kind, id }) => `${op} ${kind} ${id}`);
}

test("flush() sets what others refer to first, and removes it last", () => {
  const sequencer = new EventSequencer();
  for (const kind of ["workloadEndpoint", "policy", "ipSet"] as const) {
    sequencer.offer(set(kind, "old"));
  }
  assert.deepEqual(told(sequencer.flush()), [
    "set ipSet old",
    "set policy old",
    "set workloadEndpoint old",
  ]);
  for (const kind of ["ipSet", "workloadEndpoint", "policy"] as const) {
    sequencer.offer(remove(kind, "old"));
    sequencer.offer(set(kind, "new"));
  }
  assert.deepEqual(told(sequencer.flush()), [
    "set ipSet new",
    "set policy new",
    "set workloadEndpoint new",
    "remove workloadEndpoint old",
    "remove policy old",
    "remove ipSet old",
  ]);
});

test("flush() gives the last word on each object, once", () => {
  const sequencer = new EventSequencer();
  for (let i = 0; i < 1000; i++) sequencer.offer(set("route", "10.0.0.0/8", i));
  const updates = sequencer.flush();
  assert.deepEqual(updates, [set("route", "10.0.0.0/8", 999)]);
  assert.deepEqual(sequencer.flush(), []);
});

test("flush() says nothing of an object that came and went between two flushes", () => {
  const sequencer = new EventSequencer();
  sequencer.offer(set("policy", "a"));
  sequencer.offer(remove("policy", "a"));
  assert.deepEqual(sequencer.flush(), []);
});

test("flush() makes a removal and a new set of one object a set", () => {
  const sequencer = new EventSequencer();
  sequencer.offer(set("policy", "a", 1));
  sequencer.flush();
  sequencer.offer(remove("policy", "a"));
  sequencer.offer(set("policy", "a", 2));
  assert.deepEqual(sequencer.flush(), [set("policy", "a", 2)]);
});

test("flush() removes only what was set, and once", () => {
  const sequencer = new EventSequencer();
  sequencer.offer(remove("policy", "never"));
  sequencer.offer(set("policy", "a"));
  assert.deepEqual(told(sequencer.flush()), ["set policy a"]);
  sequencer.offer(remove("policy", "a"));
  sequencer.offer(remove("policy", "a"));
  assert.deepEqual(told(sequencer.flush()), ["remove policy a"]);
  sequencer.offer(remove("policy", "a"));
  assert.deepEqual(sequencer.flush(), []);
});
