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

/** Next hop 10.0.0.HOST on the link. */
const hop = (host: number, ifindex = 2) => {
  const nextHop = parseIpAddr(`10.0.0.${host}`);
  return { nextHop, gateway: nextHop, ifindex, igpCost: 0 };
};
/** Next hop 10.0.9.HOST, through a router. */
const farHop = (host: number) => ({
  nextHop: parseIpAddr(`10.0.9.${host}`),
  gateway: parseIpAddr("10.0.0.254"),
  ifindex: 2,
  igpCost: 1,
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
  ["10.3.2.0/26", learned, "felix-owns-pool"],
  ["10.3.1.0/26", local, "felix-owns-pool"],
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
  const felix = { ...config, programs: [] };
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
  const handedOver = (prefix: string) => {
    const route = routeTo("10.1.9.0/26", learned);
    assert.ok(typeof route !== "string");
    return policy.isHandedOver({ ...route, destination: parsePrefix(prefix) });
  };
  assert.deepEqual([handedOver("10.1.9.0/26"), handedOver("10.2.9.0/26")], [false, true]);
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

/** IPIP pools that are ours; tunl0 is interface 7, and 10.0.0.0/24 our network. */
const ipip = speakerConfig(
  cluster({
    nodes: { a: { ipv4Address: "10.0.0.1/24", ipv6Address: "fd00::1/64" } },
    pools: [
      { cidr: "10.3.0.0/16", ipipMode: "Always" },
      { cidr: "10.5.0.0/16", ipipMode: "CrossSubnet" },
      { cidr: "10.1.0.0/16" },
      { cidr: "10.2.0.0/16", vxlanMode: "CrossSubnet" },
    ],
    configurations: { default: { programClusterRoutes: "Enabled" } },
    felix: { programClusterRoutes: "Disabled" },
  }),
  "a",
) as SpeakerConfig;
const tunnel = { tunnelIfindex: 7 };
const v6Hop = { ...hop(2), nextHop: parseIpAddr("fd00::2"), gateway: parseIpAddr("fd00::2") };
const by = (...nextHops: ReturnType<typeof hop>[]): Choice => ({
  kind: "learned",
  nextHops,
  ...tunnel,
});

/** Facts 5.7, step 4: by the next hop that the peer told, and my own subnet. */
const ipipRows: readonly (readonly [what: string, string, Choice, string])[] = [
  ["Always, same subnet", "10.3.2.0/26", by(hop(2)), "via 10.0.0.2 dev 7 onlink"],
  ["Always, other subnet", "10.3.2.0/26", by(farHop(3)), "via 10.0.9.3 dev 7 onlink"],
  ["CrossSubnet, same subnet", "10.5.2.0/26", by(hop(2)), "via 10.0.0.2 dev 2"],
  ["CrossSubnet, other subnet", "10.5.2.0/26", by(farHop(3)), "via 10.0.9.3 dev 7 onlink"],
  [
    "CrossSubnet, one of each",
    "10.5.2.0/26",
    by(farHop(3), hop(2)),
    "via 10.0.0.2 dev 2, via 10.0.9.3 dev 7 onlink",
  ],
  [
    "two nodes that announce it: both share",
    "10.3.2.0/26",
    by(farHop(4), farHop(3)),
    "via 10.0.9.3 dev 7 onlink, via 10.0.9.4 dev 7 onlink",
  ],
  ["a borrowed address", "10.3.2.9/32", by(farHop(3)), "via 10.0.9.3 dev 7 onlink"],
  ["no device yet", "10.3.2.0/26", { kind: "learned", nextHops: [farHop(3)] }, "no-tunnel"],
  [
    "no device, but the same subnet",
    "10.5.2.0/26",
    { kind: "learned", nextHops: [hop(2)] },
    "via 10.0.0.2 dev 2",
  ],
  ["a next hop of IPv6", "10.3.2.0/26", by(v6Hop), "no-tunnel"],
  ["own block", "10.3.1.0/26", local, "blackhole"],
  ["own block of one address", "10.3.1.1/32", local, "host-block"],
  ["no encapsulation, other subnet", "10.1.2.0/26", by(farHop(3)), "via 10.0.0.254 dev 2"],
  ["VXLAN stays felix'", "10.2.2.0/26", by(farHop(3)), "tunneled-pool"],
  ["in no pool", "172.16.0.0/12", by(farHop(3)), "via 10.0.0.254 dev 2"],
];

const hopText = ({
  gateway,
  ifindex,
  onlink,
}: Pick<KernelRoute, "gateway" | "ifindex" | "onlink">) =>
  `via ${gateway} dev ${ifindex}${onlink === true ? " onlink" : ""}`;

for (const [what, prefix, choice, expected] of ipipRows) {
  test(`IPIP by bgp: ${what}`, () => {
    const route = routeTo(prefix, choice, ipip);
    if (typeof route === "string" || route.kind !== "unicast") {
      assert.equal(typeof route === "string" ? route : route.kind, expected);
      return;
    }
    assert.equal(route.protocol, 12);
    assert.equal((route.nextHops ?? [route]).map(hopText).join(", "), expected);
  });
}

test("A node that knows no network of its own tunnels to all with CrossSubnet", () => {
  const { ownNetworks: _unknown, ...lost } = ipip;
  const route = routeTo("10.5.2.0/26", by(hop(2)), lost);
  assert.equal(typeof route === "string" ? route : route.ifindex, 7);
});
