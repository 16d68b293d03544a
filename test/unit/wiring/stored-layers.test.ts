import assert from "node:assert/strict";
import { test } from "node:test";
import type { Update } from "../../../src/datastore/syncer.ts";
import { StoredLayers } from "../../../src/wiring/stored-layers.ts";

function configuration(name: string, spec: Readonly<Record<string, unknown>> | null): Update {
  const kind = "FelixConfiguration" as const;
  const apiVersion = "projectcalico.org/v3";
  const value = spec === null ? null : { apiVersion, kind, metadata: { name }, spec };
  return { key: { kind, name }, value };
}

function labelled(name: string, labels: Readonly<Record<string, string>>): Update {
  const kind = "Node" as const;
  const metadata = { name, labels };
  return {
    key: { kind, name },
    value: { apiVersion: "projectcalico.org/v3", kind, metadata, spec: {} },
  };
}

test("the layers follow the configurations and the node's own labels", () => {
  const stored = new StoredLayers("node1");
  const selecting = { nodeSelector: "rack == 'a'", vxlanPort: 2 };
  const all = [configuration("default", { vxlanPort: 1 }), configuration("rack-a", selecting)];
  assert.equal(stored.learn(all), true);
  assert.deepEqual(stored.layers, { global: { vxlanPort: 1 } });
  assert.equal(stored.learn([labelled("node2", { rack: "a" })]), false);
  assert.equal(stored.learn([labelled("node1", { rack: "a" })]), true);
  assert.deepEqual(stored.layers, { global: { vxlanPort: 2 } });
  assert.equal(stored.learn([configuration("rack-a", null)]), true);
  assert.deepEqual(stored.layers, { global: { vxlanPort: 1 } });
});
