import assert from "node:assert/strict";
import { test } from "node:test";
import { felixLayers } from "../../../src/api/felix-layers.ts";
import type { FelixConfiguration } from "../../../src/api/resources/felix-configuration.ts";

function configuration(
  name: string,
  spec: FelixConfiguration["spec"],
  creationTimestamp = "2026-01-01T00:00:00Z",
): FelixConfiguration {
  const metadata = { name, creationTimestamp };
  return { apiVersion: "projectcalico.org/v3", kind: "FelixConfiguration", metadata, spec };
}

const node = { name: "node1", labels: { rack: "a" } };
const rackA = { nodeSelector: "rack == 'a'" };

test("facts 2.8: a configuration that selects the node goes over the global one, and under the node's own", () => {
  const layers = felixLayers(
    [
      configuration("default", { vxlanPort: 1, vxlanVNI: 1, ipv6Support: true }),
      configuration("rack-a", { ...rackA, vxlanPort: 2, vxlanVNI: 2 }),
      configuration("node.node1", { vxlanPort: 3 }),
      configuration("node.node2", { vxlanPort: 4 }),
    ],
    node,
  );
  assert.deepEqual(layers, {
    global: { vxlanPort: 2, vxlanVNI: 2, ipv6Support: true },
    node: { vxlanPort: 3 },
  });
});

test("facts 2.8: of several that select the node the oldest acts", () => {
  const layers = felixLayers(
    [
      configuration("a", { ...rackA, vxlanPort: 1 }, "2026-01-02T00:00:00Z"),
      configuration("b", { ...rackA, vxlanPort: 2 }, "2026-01-01T00:00:00Z"),
    ],
    node,
  );
  assert.deepEqual(layers, { global: { vxlanPort: 2 } });
});

test("what selects nobody, or is chosen by its name, is not chosen by labels", () => {
  const others = [
    configuration("other-rack", { nodeSelector: "rack == 'b'", vxlanPort: 1 }),
    configuration("unreadable", { nodeSelector: "rack ==", vxlanPort: 1 }),
    configuration("no-selector", { vxlanPort: 1 }),
    configuration("node.node2", { ...rackA, vxlanPort: 1 }),
  ];
  assert.deepEqual(felixLayers(others, node), {});
});
