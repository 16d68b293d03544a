import assert from "node:assert/strict";
import { test } from "node:test";
import { keyOf } from "../../../src/api/resource-key.ts";
import type { AnyResource } from "../../../src/api/resource-of-kind.ts";
import { heldWhileLocked } from "../../../src/datastore/lock-gate.ts";
import type { Update } from "../../../src/datastore/syncer.ts";

const apiVersion = "projectcalico.org/v3";

function pool(name: string, disabled = false): Update {
  const spec = { cidr: "10.0.0.0/16", disabled };
  return update({ apiVersion, kind: "IPPool", metadata: { name }, spec });
}

function info(datastoreReady?: boolean): Update {
  const spec = datastoreReady === undefined ? {} : { datastoreReady };
  return update({ apiVersion, kind: "ClusterInformation", metadata: { name: "default" }, spec });
}

function update(value: AnyResource): Update {
  return { key: keyOf(value), value };
}

/** What a receiver behind the gate hears, in words. */
function gate() {
  const heard: string[] = [];
  const callbacks = heldWhileLocked(
    {
      onUpdates: (updates) =>
        heard.push(
          ...updates.map(({ key, value }) => `${key.name}${value === null ? " gone" : ""}`),
        ),
      onStatus: (status) => heard.push(status),
    },
    (locked) => heard.push(locked ? "locked" : "unlocked"),
  );
  return { heard, ...callbacks };
}

test("an unlocked datastore is heard as it speaks", () => {
  const { heard, onUpdates, onStatus } = gate();
  onStatus("resyncing");
  onUpdates([info(true), pool("a")]);
  onStatus("in-sync");
  onUpdates([{ ...pool("a"), value: null }]);
  assert.deepEqual(heard, ["resyncing", "default", "a", "in-sync", "a gone"]);
});

for (const [what, updates] of [
  ["without ClusterInformation", [pool("a")]],
  ["whose ClusterInformation does not say", [pool("a"), info()]],
] as const) {
  test(`a datastore ${what} is not locked`, () => {
    const { heard, onUpdates, onStatus } = gate();
    onUpdates(updates);
    onStatus("in-sync");
    assert.equal(heard.at(-1), "in-sync");
  });
}

test("a datastore that is locked from the start is not in sync before it is unlocked", () => {
  const { heard, onUpdates, onStatus } = gate();
  onUpdates([pool("a")]);
  onUpdates([info(false)]);
  onStatus("in-sync");
  onUpdates([pool("b")]);
  assert.deepEqual(heard, ["locked"]);
  onUpdates([info(true)]);
  assert.deepEqual(heard, ["locked", "unlocked", "a", "b", "default", "in-sync"]);
});

test("of what changes under the lock, the last of each object is heard after it", () => {
  const { heard, onUpdates, onStatus } = gate();
  onUpdates([info(true), pool("a"), pool("b")]);
  onStatus("in-sync");
  heard.length = 0;
  onUpdates([info(false), { ...pool("a"), value: null }, pool("b", true)]);
  onUpdates([pool("a"), { ...pool("b"), value: null }]);
  assert.deepEqual(heard, ["locked"]);
  onUpdates([{ ...info(), value: null }]);
  assert.deepEqual(heard, ["locked", "unlocked", "a", "b gone", "default gone"]);
});
