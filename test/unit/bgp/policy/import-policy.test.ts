import assert from "node:assert/strict";
import { test } from "node:test";
import { RouteFilters } from "../../../../src/bgp/policy/filter.ts";
import { importRoute } from "../../../../src/bgp/policy/import-policy.ts";
import type { FilterRule } from "../../../../src/bgp/policy/peer-policy.ts";
import { packPrefixes } from "../../../../src/bgp/rib/packed-prefix.ts";
import type { PathAttributes } from "../../../../src/bgp/wire/message.ts";
import { parseAsn } from "../../../../src/lib/asn.ts";
import { type IpAddr, parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";

const own = parseIpAddr("10.0.0.1");
const nextHop = parseIpAddr("10.0.0.2");
const nextHops = {
  isOwn: (address: IpAddr) => address === own,
  interfaceOf: () => "eth0",
};
const at = { prefixes: packPrefixes([parsePrefix("10.1.0.0/24")], 4), index: 0 };
const inside = { external: false, localAs: 64512, allowedLocalAs: 0, routerId: 1, clusterId: 7 };
const outside = { ...inside, external: true };
const through = (...asns: number[]): PathAttributes => ({
  origin: 0,
  asPath: [{ kind: "sequence", asns: asns.map(parseAsn) }],
});

const confederation: PathAttributes = {
  origin: 0,
  asPath: [{ kind: "confedSequence", asns: [parseAsn(64600), parseAsn(64512)] }],
};

const rows: readonly (readonly [string, PathAttributes, IpAddr | undefined, typeof inside])[] = [
  ["as-loop", through(65001, 64512), nextHop, outside],
  ["as-loop", through(64512, 64512), nextHop, { ...outside, allowedLocalAs: 1 }],
  // RFC 5065 section 4: the ASes of a confederation count.
  ["as-loop", confederation, nextHop, inside],
  ["originator-is-self", { ...through(), originatorId: 1 }, nextHop, inside],
  ["cluster-loop", { ...through(), clusterList: [3, 7] }, nextHop, inside],
  ["next-hop-is-self", through(), own, inside],
  ["no-next-hop", through(), undefined, inside],
];

rows.forEach(([reason, attributes, hop, facts]) => {
  test(`A route is rejected: ${reason}`, () => {
    const verdict = importRoute({ ...at, attributes, nextHop: hop }, facts, nextHops);
    assert.deepEqual(verdict, { accepted: false, reason });
  });
});

test("Our AS may be in a path as often as the peer allows", () => {
  const route = { ...at, attributes: through(65001, 64512), nextHop };
  assert.equal(importRoute(route, { ...outside, allowedLocalAs: 1 }, nextHops).accepted, true);
});

const filteredBy = (...rules: readonly FilterRule[]) => ({
  ...outside,
  filters: new RouteFilters([{ name: "f", rules }], outside),
});

test("A filter decides after what BGP asks, by prefix, interface and preference", () => {
  const route = { ...at, attributes: through(65001), nextHop };
  const matching = { interface: "eth*", priority: 0x7fffffff - 100 } as const;
  const refusing = filteredBy({ ...matching, action: "reject" });
  assert.deepEqual(importRoute(route, refusing, nextHops), {
    accepted: false,
    reason: "filter f rule 1",
  });
  const looped = { ...route, attributes: through(64512) };
  assert.deepEqual(importRoute(looped, refusing, nextHops), { accepted: false, reason: "as-loop" });
  const setting = filteredBy({ action: "accept", operations: [{ kind: "setMed", med: 3 }] });
  assert.deepEqual(importRoute(route, setting, nextHops), {
    accepted: true,
    operations: [{ kind: "setMed", med: 3 }],
  });
});

test("A route of a peer that is about to go is least preferred, unless a filter says more", () => {
  const attributes = { ...through(65001), communities: [0xffff0000] };
  const least = { kind: "setLocalPref", localPref: 0 } as const;
  const verdict = importRoute({ ...at, attributes, nextHop }, outside, nextHops);
  assert.deepEqual(verdict, { accepted: true, operations: [least] });
  const more = { kind: "setLocalPref", localPref: 50 } as const;
  const setting = filteredBy({
    priority: 0x7fffffff,
    action: "accept",
    operations: [more],
  });
  assert.deepEqual(importRoute({ ...at, attributes, nextHop }, setting, nextHops), {
    accepted: true,
    operations: [least, more],
  });
});
