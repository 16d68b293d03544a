import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultRequest, type LabRequest, planLab, podNetns } from "../../../src/lab/lab-plan.ts";

test("planLab() spreads the nodes over the segments, one address of each family each", () => {
  const { nodes, router } = planLab(defaultRequest);
  assert.equal(router, "tortie-router");
  assert.deepEqual(
    nodes.map(({ netns, segment, addresses }) => [netns, segment, ...addresses]),
    [
      ["tortie-node1", 1, "192.168.1.11"],
      ["tortie-node2", 1, "192.168.1.12"],
      ["tortie-node3", 2, "192.168.2.13"],
    ],
  );
  assert.deepEqual(
    planLab({ ...defaultRequest, ipFamily: "dual" }).nodes.map(({ addresses }) => addresses),
    [
      ["192.168.1.11", "2001:db8:1::11"],
      ["192.168.1.12", "2001:db8:1::12"],
      ["192.168.2.13", "2001:db8:2::13"],
    ],
  );
});

test("planLab() of an IPv6-only lab has no IPv4 address anywhere", () => {
  const plan = planLab({ ...defaultRequest, ipFamily: "ipv6" });
  assert.deepEqual(plan.families, [6]);
  assert.doesNotMatch(JSON.stringify(plan), /\d+\.\d+\.\d+\.\d+/);
});

test("planLab() takes WireGuard as a tunnel, whatever the pools have", () => {
  const plan = planLab({ ...defaultRequest, encapsulation: "None", wireguard: true });
  assert.equal(plan.segments.length, 2);
});

test("podNetns() leaves out the Kubernetes namespace default", () => {
  assert.equal(podNetns("tortie", "node1", "default", "web"), "tortie-node1-web");
  assert.equal(podNetns("tortie", "node1", "shop", "web"), "tortie-node1-shop-web");
});

const refused: readonly [change: Partial<LabRequest>, words: RegExp][] = [
  [
    { encapsulation: "None" },
    /--encapsulation None for IPv4 with more than one .*--wireguard.*--fabric bgp/,
  ],
  [{ encapsulation: "IPIP", ipFamily: "dual" }, /--encapsulation IPIP for IPv6 with more than one/],
  [{ encapsulation: "IPIP", ipFamily: "ipv6", segments: 1 }, /IPIP with .* it carries IPv4 only/],
  [{ encapsulation: "IPIP", ipFamily: "ipv6", segments: 1 }, /IPIP with .* it carries IPv4 only/],
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
