import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultRequest, type LabRequest, planLab, podNetns } from "../../../src/lab/lab-plan.ts";

test("planLab() spreads the nodes over the segments, one address each", () => {
  const { nodes, router } = planLab(defaultRequest);
  assert.equal(router, "tortie-router");
  assert.deepEqual(
    nodes.map(({ netns, segment, address }) => [netns, segment, address]),
    [
      ["tortie-node1", 1, "192.168.1.11"],
      ["tortie-node2", 1, "192.168.1.12"],
      ["tortie-node3", 2, "192.168.2.13"],
    ],
  );
});

test("podNetns() leaves out the Kubernetes namespace default", () => {
  assert.equal(podNetns("tortie", "node1", "default", "web"), "tortie-node1-web");
  assert.equal(podNetns("tortie", "node1", "shop", "web"), "tortie-node1-shop-web");
});

const refused: readonly [change: Partial<LabRequest>, words: RegExp][] = [
  [{ encapsulation: "None" }, /--encapsulation None with more than one segment.*--fabric bgp/],
  [{ nodes: 0 }, /--nodes 0/],
  [{ nodes: 2, segments: 3 }, /--segments 3/],
  [{ pods: -1 }, /--pods -1/],
  [{ name: "Not A Name" }, /--lab "Not A Name"/],
];
for (const [change, words] of refused) {
  test(`planLab() refuses ${JSON.stringify(change)}`, () => {
    assert.throws(() => planLab({ ...defaultRequest, ...change }), words);
  });
}

test("planLab() takes None across segments when the fabric speaks BGP", () => {
  assert.equal(
    planLab({ ...defaultRequest, encapsulation: "None", fabric: "bgp" }).nodes.length,
    3,
  );
});
