import assert from "node:assert/strict";
import { test } from "node:test";
import type { AnyResource } from "../../../src/api/resource-of-kind.ts";
import { stampLabels, Truth } from "../../soak/truth.ts";

const key = { kind: "GlobalNetworkSet", name: "a" } as const;
const gone = { key, value: null };

function set(incarnation: number, version: number): { key: typeof key; value: AnyResource } {
  const metadata = { name: "a", labels: stampLabels({ incarnation, version }) };
  const value = {
    apiVersion: "projectcalico.org/v3",
    kind: "GlobalNetworkSet",
    metadata,
    spec: {},
  };
  return { key, value: value as AnyResource };
}

/** What a watch told of an object of which incarnation 1 was deleted and 2 was not. */
function defectsOf(told: readonly Parameters<Truth["tell"]>[0][], asList = false): number {
  const truth = new Truth();
  truth.storedAt(key, { incarnation: 1, version: 2 });
  truth.willDelete(key);
  truth.deleted(key);
  truth.storedAt(key, { incarnation: 2, version: 1 });
  if (asList) truth.listing();
  for (const update of told) truth.tell(update);
  return truth.defects.length;
}

const rows: readonly (readonly [what: string, told: Parameters<typeof defectsOf>[0], number])[] = [
  ["every change", [set(1, 1), set(1, 2), gone, set(2, 1)], 0],
  ["what was told before", [set(1, 1), set(1, 2), set(1, 1), set(1, 2), gone, set(1, 2)], 0],
  ["a delete that nobody made", [set(1, 1), set(1, 2), gone, set(2, 1), gone], 1],
  ["a delete that is missing", [set(1, 1), set(1, 2), set(2, 1)], 1],
  ["an update that is missing", [set(1, 1), gone, set(2, 2)], 1],
];
for (const [what, told, defects] of rows) {
  test(`Truth: a watch that tells ${what} has ${defects} defects`, () => {
    assert.equal(defectsOf(told), defects);
  });
}

test("Truth: a list may jump, but not tell a false delete", () => {
  assert.equal(defectsOf([set(1, 1), set(2, 1)], true), 0);
  assert.equal(defectsOf([set(1, 1), set(2, 1), gone], true), 1);
});

test("Truth: what was stored and not told is a difference", () => {
  const truth = new Truth();
  truth.storedAt(key, { incarnation: 1, version: 1 });
  assert.deepEqual(truth.differences(), ["GlobalNetworkSet/a: stored 1.1, told absent"]);
  truth.tell(set(1, 1));
  assert.deepEqual(truth.differences(), []);
});
