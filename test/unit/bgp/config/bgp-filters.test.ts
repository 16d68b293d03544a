import assert from "node:assert/strict";
import { test } from "node:test";
import type { BGPFilterRule, BGPFilterSpec } from "../../../../src/api/resources/bgp-filter.ts";
import { speakerConfig } from "../../../../src/bgp/config/speaker-config.ts";
import type { FilterRule } from "../../../../src/bgp/policy/peer-policy.ts";
import { cluster } from "../speaker/cluster.ts";

function withFilters(names: readonly string[], filters: Readonly<Record<string, BGPFilterSpec>>) {
  const resources = cluster({
    nodes: { a: { ipv4Address: "10.0.0.1/24" } },
    peers: { p: { peerIP: "10.9.9.9", filters: names } },
    filters,
  });
  const config = speakerConfig(resources, "a");
  assert.ok(config !== undefined);
  return config;
}

function policyOf(names: readonly string[], filters: Readonly<Record<string, BGPFilterSpec>>) {
  const { peers, blocked } = withFilters(names, filters);
  assert.deepEqual(blocked, []);
  const { importFilters, exportFilters } = peers[0]?.policy ?? {};
  return { importFilters, exportFilters };
}

const accept = { action: "Accept" } as const;
const reject = { action: "Reject" } as const;
const inTen = { cidr: "10.0.0.0/8", matchOperator: "In" } as const;
const prefix = "10.0.0.0/8" as NonNullable<FilterRule["match"]>["prefix"];

/** A rule of exportV4, and what it becomes besides family and action. */
const rows: readonly (readonly [Omit<BGPFilterRule, "action">, Partial<FilterRule>])[] = [
  [{}, {}],
  [{ cidr: "", matchOperator: "", source: "", interface: "", peerType: "" }, {}],
  [{ cidr: "10.0.0.0/8", matchOperator: "Equal" }, { match: { prefix, operator: "equal" } }],
  [{ cidr: "10.0.0.0/8", matchOperator: "NotEqual" }, { match: { prefix, operator: "notEqual" } }],
  [inTen, { match: { prefix, operator: "in" } }],
  [{ cidr: "10.0.0.0/8", matchOperator: "NotIn" }, { match: { prefix, operator: "notIn" } }],
  [
    { ...inTen, prefixLength: { min: 16, max: 24 } },
    { match: { prefix, operator: "in", minLength: 16, maxLength: 24 } },
  ],
  [
    { ...inTen, prefixLength: { max: 24 } },
    { match: { prefix, operator: "in", minLength: 8, maxLength: 24 } },
  ],
  [
    { ...inTen, prefixLength: { min: 4 } },
    { match: { prefix, operator: "in", minLength: 8, maxLength: 32 } },
  ],
  [{ source: "RemotePeers" }, { source: "remotePeers" }],
  [{ interface: "*.calico" }, { interface: "*.calico" }],
  [{ peerType: "eBGP" }, { peerType: "eBGP" }],
  [{ peerType: "iBGP" }, { peerType: "iBGP" }],
  [{ communities: { values: ["65000:100"] } }, { communities: [65000 * 0x10000 + 100] }],
  [{ communities: { values: ["1:2:3"] } }, { communities: [[1, 2, 3]] }],
  [{ asPathPrefix: [65001, "1.10"] }, { asPathPrefix: [65001, 65546] as never }],
  [{ priority: 512 }, { priority: 512 }],
  [
    {
      operations: [
        { addCommunity: { value: "1:2" } },
        { prependASPath: { prefix: ["65000", 65001] } },
        { setPriority: { value: 512 } },
      ],
    },
    {
      operations: [
        { kind: "addCommunity", community: 0x10002 },
        { kind: "prependAsPath", asns: [65000, 65001] as never },
        { kind: "setPriority", priority: 512 },
      ],
    },
  ],
];

for (const [given, expected] of rows) {
  test(`A filter rule ${JSON.stringify(given)} becomes ${JSON.stringify(expected)}`, () => {
    const { exportFilters } = policyOf(["f"], { f: { exportV4: [{ ...given, ...accept }] } });
    assert.deepEqual(exportFilters, [
      { name: "f", rules: [{ family: 4, ...expected, action: "accept" }] },
    ]);
  });
}

test("Filters keep the order of the peer, rules that of the filter, and each family is apart", () => {
  const filters: Readonly<Record<string, BGPFilterSpec>> = {
    one: { exportV4: [reject, accept], importV6: [reject] },
    two: { exportV6: [accept], importV4: [accept], importV6: [accept] },
    unused: { exportV4: [reject] },
  };
  const brief = (given: ReturnType<typeof policyOf>["importFilters"]) =>
    given?.map(({ name, rules }) => [
      name,
      ...rules.map((rule) => `${rule.family} ${rule.action}`),
    ]);
  const { importFilters, exportFilters } = policyOf(["two", "one"], filters);
  assert.deepEqual(brief(exportFilters), [
    ["two", "6 accept"],
    ["one", "4 reject", "4 accept"],
  ]);
  assert.deepEqual(brief(importFilters), [
    ["two", "4 accept"],
    ["two", "6 accept"],
    ["one", "6 reject"],
  ]);
});

test("A filter without rules leaves no trace in the policy", () => {
  assert.deepEqual(policyOf(["f"], { f: {} }), {
    importFilters: undefined,
    exportFilters: undefined,
  });
});

const unusable: readonly (readonly [BGPFilterSpec | undefined, RegExp])[] = [
  [undefined, /^BGPFilter "f" does not exist or is not valid$/],
  [
    { exportV4: [{ cidr: "10.0.0.1/8", matchOperator: "In", ...reject }] },
    /^BGPFilter "f" cannot be read: Cannot parse prefix "10.0.0.1\/8"/,
  ],
  [
    { exportV4: [{ cidr: "10.0.0.0/8", ...reject }] },
    /^BGPFilter "f" cannot be read: CIDR "10.0.0.0\/8" has no matchOperator$/,
  ],
];

for (const [filter, reason] of unusable) {
  test(`A filter that cannot be applied keeps its peer down: ${reason.source}`, () => {
    const filters = filter === undefined ? { other: {} } : { f: filter };
    const { peers, blocked } = withFilters(["other", "f"], { other: {}, ...filters });
    assert.deepEqual(peers, []);
    assert.match(blocked[0]?.reason ?? "", reason);
  });
}
