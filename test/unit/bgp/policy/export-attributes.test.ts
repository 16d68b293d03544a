import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type ExportTarget,
  exportAttributes,
  type RouteToExport,
  withCommunities,
} from "../../../../src/bgp/policy/export-attributes.ts";
import type { RouteOperation } from "../../../../src/bgp/policy/peer-policy.ts";
import { PrefixList } from "../../../../src/bgp/rib/packed-prefix.ts";
import { parseAsn } from "../../../../src/lib/asn.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";

const ours = parseAsn(64512);
const own = parseIpAddr("10.0.0.1");
const their = parseIpAddr("10.0.0.9");
const self = { normalPriority: 1024, clusterId: 7, draining: false };
const inside: ExportTarget = {
  external: false,
  localAs: ours,
  localAddress: own,
  nextHopMode: "Auto",
};
const outside: ExportTarget = { ...inside, external: true };

const originated: RouteToExport = {
  attributes: { origin: 0, asPath: [] },
  nextHop: undefined,
  source: { learned: "local", fromClient: false },
  sourceRouterId: 0,
};
const reflected: RouteToExport = {
  attributes: { origin: 0, asPath: [], localPref: 300, med: 5 },
  nextHop: their,
  source: { learned: "ibgp", fromClient: true },
  sourceRouterId: 99,
};

test("An own route carries 2147483647 - 1024 as LOCAL_PREF inside the AS", () => {
  assert.deepEqual(exportAttributes(originated, inside, self), {
    attributes: { origin: 0, asPath: [], localPref: 2147482623 },
    nextHop: own,
  });
});

test("An own route carries our AS, and neither LOCAL_PREF nor MED, outside", () => {
  assert.deepEqual(exportAttributes(originated, outside, self), {
    attributes: { origin: 0, asPath: [{ kind: "sequence", asns: [ours] }] },
    nextHop: own,
  });
});

test("A reflected route keeps next hop, LOCAL_PREF and MED, and gets originator and cluster", () => {
  const { attributes, nextHop } = exportAttributes(reflected, inside, self);
  assert.equal(nextHop, their);
  assert.deepEqual(
    [attributes.localPref, attributes.med, attributes.originatorId, attributes.clusterList],
    [300, 5, 99, [7]],
  );
  const again = { ...reflected, attributes, sourceRouterId: 5 };
  const twice = exportAttributes(again, inside, { ...self, clusterId: 8 }).attributes;
  assert.deepEqual([twice.originatorId, twice.clusterList], [99, [8, 7]]);
});

test("What reflection adds stays inside the AS, and a second-hand route has a MED outside", () => {
  const { attributes } = exportAttributes(reflected, inside, self);
  const { attributes: told, nextHop } = exportAttributes(
    { ...reflected, attributes },
    outside,
    self,
  );
  assert.deepEqual(told, { origin: 0, asPath: [{ kind: "sequence", asns: [ours] }], med: 100 });
  assert.equal(nextHop, own);
});

test("A route of another AS passes inside with its path and LOCAL_PREF 100", () => {
  const asPath = [{ kind: "sequence" as const, asns: [parseAsn(65001)] }];
  const route: RouteToExport = {
    ...originated,
    attributes: { origin: 0, asPath },
    nextHop: their,
    source: { learned: "ebgp", fromClient: false },
  };
  assert.deepEqual(exportAttributes(route, inside, self).attributes, {
    origin: 0,
    asPath,
    localPref: 100,
  });
  const told = exportAttributes(route, outside, self).attributes.asPath;
  assert.deepEqual(told, [{ kind: "sequence", asns: [ours, 65001] }]);
});

test("The next hop follows nextHopMode", () => {
  const hopOf = (target: ExportTarget) => exportAttributes(reflected, target, self).nextHop;
  assert.equal(hopOf({ ...inside, nextHopMode: "Self" }), own);
  assert.equal(hopOf({ ...outside, nextHopMode: "Keep" }), their);
  assert.equal(
    exportAttributes(originated, { ...outside, nextHopMode: "Keep" }, self).nextHop,
    own,
  );
});

test("withCommunities() adds those of all advertisements once", () => {
  const prefixes = new PrefixList([]);
  const matching = [
    { prefixes, communities: [1, 2], largeCommunities: [[1, 2, 3] as const] },
    { prefixes, communities: [2, 3], largeCommunities: [[1, 2, 3] as const] },
  ];
  const { communities, largeCommunities } = withCommunities(originated.attributes, matching);
  assert.deepEqual(communities, [1, 2, 3]);
  assert.deepEqual(largeCommunities, [[1, 2, 3]]);
  assert.equal(withCommunities(originated.attributes, []), originated.attributes);
});

test("A filter's operations count inside, and come before our own AS outside", () => {
  const operations: readonly RouteOperation[] = [
    { kind: "setLocalPref", localPref: 7 },
    { kind: "setMed", med: 9 },
    { kind: "prependAsPath", asns: [parseAsn(65001)] },
  ];
  const within = exportAttributes(reflected, inside, self, operations).attributes;
  assert.deepEqual([within.localPref, within.med], [7, 9]);
  const told = exportAttributes(reflected, outside, self, operations).attributes;
  assert.deepEqual(told, {
    origin: 0,
    asPath: [{ kind: "sequence", asns: [ours, 65001] }],
    med: 9,
  });
});

test("A plain router tells others no MED of its own making", () => {
  const target = { ...outside, scope: "all" } as const;
  assert.equal(exportAttributes(reflected, target, self).attributes.med, undefined);
});

test("Extended communities that are not transitive stay in the AS (RFC 4360 section 6)", () => {
  const target = Uint8Array.of(0x00, 0x02, 0xfc, 0, 0, 0, 0, 1);
  const bandwidth = Uint8Array.of(0x40, 0x04, 0xfc, 0, 0, 0, 0, 1);
  const carrying = (...extendedCommunities: Uint8Array[]): RouteToExport => ({
    ...reflected,
    attributes: { ...reflected.attributes, extendedCommunities },
  });
  const told = (route: RouteToExport, to: ExportTarget) =>
    exportAttributes(route, to, self).attributes.extendedCommunities;
  assert.deepEqual(told(carrying(target, bandwidth), inside), [target, bandwidth]);
  assert.deepEqual(told(carrying(target, bandwidth), outside), [target]);
  assert.equal(told(carrying(bandwidth), outside), undefined);
});

test("A node that drains leaves what it reflects as it is: its packets do not come by", () => {
  const draining = { ...self, draining: true };
  const told = exportAttributes(reflected, inside, draining);
  assert.deepEqual([told.nextHop, told.attributes.communities], [their, undefined]);
  assert.equal(told.attributes.localPref, 300);
  const kept = exportAttributes(reflected, { ...outside, nextHopMode: "Keep" }, draining);
  assert.equal(kept.attributes.communities, undefined);
  const through = exportAttributes(reflected, { ...inside, nextHopMode: "Self" }, draining);
  assert.deepEqual(through.attributes.communities, [0xffff0000]);
});

test("A node that drains tells what leads through it with GRACEFUL_SHUTDOWN and the least preference", () => {
  const draining = { ...self, draining: true };
  const within = exportAttributes(originated, inside, draining).attributes;
  assert.deepEqual([within.communities, within.localPref], [[0xffff0000], 0]);
  const told = exportAttributes(reflected, outside, draining).attributes;
  assert.deepEqual([told.communities, told.localPref], [[0xffff0000], undefined]);
});

test("What we originate keeps its own MED, LOCAL_PREF and next hop", () => {
  const route = {
    ...originated,
    attributes: { origin: 0, asPath: [], med: 3, localPref: 5 },
    nextHop: their,
  } as const;
  assert.deepEqual(exportAttributes(route, outside, self), {
    attributes: { origin: 0, asPath: [{ kind: "sequence", asns: [ours] }], med: 3 },
    nextHop: their,
  });
  assert.equal(exportAttributes(route, inside, self).attributes.localPref, 5);
});
