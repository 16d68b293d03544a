import assert from "node:assert/strict";
import { test } from "node:test";
import { type SpeakerConfig, speakerConfig } from "../../../../src/bgp/config/speaker-config.ts";
import { type Choice, FibPolicy } from "../../../../src/bgp/fib/desired-routes.ts";
import { packPrefixes } from "../../../../src/bgp/rib/packed-prefix.ts";
import type { KernelRoute } from "../../../../src/kernel/kernel.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { parsePrefix, prefixFamily } from "../../../../src/lib/prefix.ts";
import { cluster } from "../speaker/cluster.ts";

const config = speakerConfig(
  cluster({
    nodes: { a: { ipv4Address: "10.0.0.1/24" } },
    pools: [
      { cidr: "10.1.0.0/16" },
      { cidr: "10.2.0.0/16", vxlanMode: "CrossSubnet" },
      { cidr: "10.3.0.0/16", ipipMode: "Always" },
      { cidr: "10.4.0.0/16", vxlanMode: "Always", allowedUses: ["LoadBalancer"] },
    ],
    configurations: { default: { serviceClusterIPs: [{ cidr: "10.96.0.0/12" }] } },
  }),
  "a",
) as SpeakerConfig;

const hop = (host: number, ifindex = 2) => ({
  gateway: parseIpAddr(`10.0.0.${host}`),
  ifindex,
  igpCost: 0,
});
const learned: Choice = { kind: "learned", nextHops: [hop(2)] };
const local: Choice = { kind: "local" };

function routeTo(prefix: string, choice: Choice, from = config): KernelRoute | string {
  const parsed = parsePrefix(prefix);
  const at = { prefixes: packPrefixes([parsed], prefixFamily(parsed)), index: 0 };
  return new FibPolicy(from).routeTo(parsed, at, choice);
}

test("An unencapsulated block goes by its next hop, with protocol 12 and metric 1024", () => {
  assert.deepEqual(routeTo("10.1.2.0/26", learned), {
    table: 254,
    destination: "10.1.2.0/26",
    priority: 1024,
    kind: "unicast",
    scope: "universe",
    protocol: 12,
    gateway: "10.0.0.2",
    ifindex: 2,
  });
});

const rows: readonly (readonly [string, Choice, string])[] = [
  ["10.2.2.0/26", learned, "tunneled-pool"],
  ["10.2.1.0/26", local, "tunneled-pool"],
  ["10.3.2.0/26", learned, "tunneled-pool"],
  ["10.96.0.10/32", learned, "service-range"],
  ["10.1.1.7/32", local, "host-block"],
  ["10.1.1.0/26", local, "blackhole"],
  ["10.1.1.7/32", learned, "unicast"],
  ["10.4.1.1/32", learned, "unicast"],
  ["0.0.0.0/0", learned, "unicast"],
  ["fd00::/64", learned, "unicast"],
];

rows.forEach(([prefix, choice, expected]) => {
  test(`${prefix} (${choice.kind}): ${expected}`, () => {
    const route = routeTo(prefix, choice);
    assert.equal(typeof route === "string" ? route : route.kind, expected);
  });
});

test("Where felix owns unencapsulated pools, we program none of them", () => {
  const felix = { ...config, programsNoEncap: false };
  assert.equal(routeTo("10.1.2.0/26", learned, felix), "felix-owns-pool");
  assert.equal(routeTo("10.1.1.0/26", local, felix), "felix-owns-pool");
});

test("Equal paths share one route; the same next hop twice counts once", () => {
  const both = routeTo("10.1.2.0/26", { kind: "learned", nextHops: [hop(3), hop(2), hop(3)] });
  assert.ok(typeof both !== "string");
  assert.equal(both.gateway, undefined);
  assert.deepEqual(both.nextHops, [
    { gateway: "10.0.0.2", ifindex: 2 },
    { gateway: "10.0.0.3", ifindex: 2 },
  ]);
});

test("Of an earlier run, only routes that the RIB could still want may stay", () => {
  const policy = new FibPolicy(config);
  const kept = (prefix: string, choice: Choice, change: Partial<KernelRoute> = {}) => {
    const route = routeTo("10.1.9.0/26", choice);
    assert.ok(typeof route !== "string");
    return policy.mayKeep({ ...route, destination: parsePrefix(prefix), ...change });
  };
  assert.equal(kept("10.1.9.0/26", learned), true);
  assert.equal(kept("10.2.9.0/26", learned), false);
  // Which blocks are ours is known at once.
  assert.equal(kept("10.1.9.0/26", local), false);
});

test("What is originated for others only, or by a speaker that installs nothing, stays out", () => {
  const originatedRoutes = [
    { prefix: parsePrefix("0.0.0.0/0"), nextHop: "self", communities: [] } as const,
  ];
  const plain = { ...config, originatedRoutes, pools: [] };
  assert.equal(routeTo("0.0.0.0/0", local, plain), "announced-only");
  assert.equal(routeTo("10.1.1.0/26", learned, { ...plain, install: false }), "not-installed");
  assert.equal(routeTo("10.1.1.0/26", local, { ...plain, install: false }), "not-installed");
});

test("Routes go to the table that the configuration names", () => {
  const route = routeTo("10.1.2.0/26", learned, { ...config, table: 100 });
  assert.equal(typeof route === "string" ? route : route.table, 100);
});
