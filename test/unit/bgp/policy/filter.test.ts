import assert from "node:assert/strict";
import { test } from "node:test";
import { type FilterRoute, filterText, RouteFilters } from "../../../../src/bgp/policy/filter.ts";
import type { FilterRule, RouteFilter } from "../../../../src/bgp/policy/peer-policy.ts";
import { packPrefixes } from "../../../../src/bgp/rib/packed-prefix.ts";
import { parseAsn } from "../../../../src/lib/asn.ts";
import { parsePrefix, prefixFamily } from "../../../../src/lib/prefix.ts";

type Sketch = Partial<Omit<FilterRoute, "prefixes" | "index">>;

function route(prefix: string, sketch: Sketch = {}): FilterRoute {
  const parsed = parsePrefix(prefix);
  return {
    prefixes: packPrefixes([parsed], prefixFamily(parsed)),
    index: 0,
    attributes: { origin: 0, asPath: [] },
    learned: "ebgp",
    localPref: 100,
    ...sketch,
  };
}

const match = (
  operator: "equal" | "notEqual" | "in" | "notIn",
  lengths: { readonly minLength?: number; readonly maxLength?: number } = {},
  prefix = "10.1.0.0/16",
): Pick<FilterRule, "match"> => ({
  match: { prefix: parsePrefix(prefix), operator, ...lengths },
});

const path = (...asns: number[]): Sketch => ({
  attributes: { origin: 0, asPath: [{ kind: "sequence", asns: asns.map(parseAsn) }] },
});

const rows: readonly (readonly [string, Omit<FilterRule, "action">, FilterRoute, boolean])[] = [
  ["nothing asked", {}, route("0.0.0.0/0"), true],
  ["equal", match("equal"), route("10.1.0.0/16"), true],
  ["equal, more specific", match("equal"), route("10.1.0.0/17"), false],
  ["notEqual", match("notEqual"), route("10.1.0.0/17"), true],
  ["notEqual, equal", match("notEqual"), route("10.1.0.0/16"), false],
  ["in, equal", match("in"), route("10.1.0.0/16"), true],
  ["in, host", match("in"), route("10.1.2.3/32"), true],
  ["in, shorter", match("in"), route("10.0.0.0/8"), false],
  ["in, beside", match("in"), route("10.2.0.0/24"), false],
  ["in, at minLength", match("in", { minLength: 24 }), route("10.1.2.0/24"), true],
  ["in, under minLength", match("in", { minLength: 24 }), route("10.1.2.0/23"), false],
  ["in, at maxLength", match("in", { maxLength: 24 }), route("10.1.2.0/24"), true],
  ["in, over maxLength", match("in", { maxLength: 24 }), route("10.1.2.0/25"), false],
  ["in, minLength under its own", match("in", { minLength: 8 }), route("10.0.0.0/8"), false],
  ["notIn, beside", match("notIn"), route("10.2.0.0/24"), true],
  ["notIn, inside", match("notIn"), route("10.1.2.0/24"), false],
  ["notIn, over maxLength", match("notIn", { maxLength: 24 }), route("10.1.2.0/25"), true],
  ["notIn, other family", match("notIn"), route("fd00::/64"), false],
  ["in, IPv6", match("in", { maxLength: 64 }, "fd00::/8"), route("fd00:1::/64"), true],
  ["in, everything", match("in", {}, "0.0.0.0/0"), route("10.2.0.0/24"), true],
  ["family", { family: 6 }, route("fd00::/64"), true],
  ["other family", { family: 6 }, route("10.1.0.0/16"), false],
  ["remotePeers", { source: "remotePeers" }, route("10.1.0.0/16"), true],
  [
    "remotePeers, own",
    { source: "remotePeers" },
    route("10.1.0.0/16", { learned: "local" }),
    false,
  ],
  ["interface", { interface: "eth0" }, route("10.1.0.0/16", { interface: "eth0" }), true],
  ["interface, other", { interface: "eth0" }, route("10.1.0.0/16", { interface: "eth01" }), false],
  ["interface*", { interface: "eth*" }, route("10.1.0.0/16", { interface: "eth01" }), true],
  ["interface, none", { interface: "*" }, route("10.1.0.0/16"), false],
  ["eBGP", { peerType: "eBGP" }, route("10.1.0.0/16"), true],
  ["iBGP", { peerType: "iBGP" }, route("10.1.0.0/16"), false],
  ["priority", { priority: 1024 }, route("10.1.0.0/16", { localPref: 2147482623 }), true],
  ["priority, other", { priority: 512 }, route("10.1.0.0/16", { localPref: 2147482623 }), false],
  ["path begins", { asPathPrefix: [1, 2].map(parseAsn) }, route("::/0", path(1, 2, 3)), true],
  ["path begins otherwise", { asPathPrefix: [2].map(parseAsn) }, route("::/0", path(1, 2)), false],
  ["path is shorter", { asPathPrefix: [1, 2].map(parseAsn) }, route("::/0", path(1)), false],
];

rows.forEach(([name, rule, given, applies]) => {
  test(`A rule ${applies ? "applies" : "does not apply"}: ${name}`, () => {
    const filters = new RouteFilters([{ name: "f", rules: [{ ...rule, action: "reject" }] }], {
      external: true,
    });
    assert.equal(filters.decide(given) !== undefined, applies);
  });
});

test("All communities that a rule names must be there, large ones too", () => {
  const attributes = {
    origin: 0,
    asPath: [],
    communities: [5, 6],
    largeCommunities: [[1, 2, 3]],
  } as const;
  const applies = (communities: NonNullable<FilterRule["communities"]>) =>
    new RouteFilters([{ name: "f", rules: [{ communities, action: "accept" }] }], {
      external: true,
    }).decide(route("10.1.0.0/16", { attributes })) !== undefined;
  assert.equal(applies([6]), true);
  assert.equal(applies([6, 7]), false);
  assert.equal(applies([[1, 2, 3], 5]), true);
  assert.equal(applies([[1, 2, 4]]), false);
});

test("An AS set ends the part of a path whose order is known", () => {
  const attributes = {
    origin: 0,
    asPath: [
      { kind: "confedSequence", asns: [parseAsn(9)] },
      { kind: "sequence", asns: [parseAsn(1)] },
      { kind: "set", asns: [parseAsn(2)] },
    ],
  } as const;
  const applies = (...asns: number[]) => {
    const rule = { asPathPrefix: asns.map(parseAsn), action: "accept" } as const;
    const filters = new RouteFilters([{ name: "f", rules: [rule] }], { external: true });
    return filters.decide(route("10.1.0.0/16", { attributes })) !== undefined;
  };
  assert.equal(applies(1), true);
  assert.equal(applies(1, 2), false);
});

test("The first rule that applies decides; a filter without one passes on to the next", () => {
  const operations = [{ kind: "setMed", med: 3 }] as const;
  const filters: readonly RouteFilter[] = [
    { name: "one", rules: [{ ...match("in", {}, "10.9.0.0/16"), action: "reject" }] },
    {
      name: "two",
      rules: [
        { family: 6, action: "reject" },
        { ...match("in"), action: "accept", operations },
        { action: "reject", operations },
      ],
    },
    { name: "three", rules: [{ action: "accept" }] },
  ];
  const compiled = new RouteFilters(filters, { external: true });
  const decided = (prefix: string) => {
    const verdict = compiled.decide(route(prefix));
    if (verdict === undefined) return undefined;
    return [verdict.accepted, filterText(verdict), verdict.operations];
  };
  assert.deepEqual(decided("10.9.1.0/24"), [false, "filter one rule 1", []]);
  assert.deepEqual(decided("10.1.1.0/24"), [true, "filter two rule 2", operations]);
  assert.deepEqual(decided("10.2.1.0/24"), [false, "filter two rule 3", []]);
  assert.deepEqual(new RouteFilters([], { external: true }).decide(route("::/0")), undefined);
});
