import assert from "node:assert/strict";
import { test } from "node:test";
import { importRoute } from "../../../../src/bgp/policy/import-policy.ts";
import type { PathAttributes } from "../../../../src/bgp/wire/message.ts";
import { parseAsn } from "../../../../src/lib/asn.ts";
import { type IpAddr, parseIpAddr } from "../../../../src/lib/ip-addr.ts";

const own = parseIpAddr("10.0.0.1");
const nextHop = parseIpAddr("10.0.0.2");
const isOwn = (address: IpAddr) => address === own;
const inside = { external: false, localAs: 64512, allowedLocalAs: 0, routerId: 1, clusterId: 7 };
const outside = { ...inside, external: true };
const through = (...asns: number[]): PathAttributes => ({
  origin: 0,
  asPath: [{ kind: "sequence", asns: asns.map(parseAsn) }],
});

test("A route is accepted with its LOCAL_PREF inside the AS, and with 100 otherwise", () => {
  const attributes = { ...through(), localPref: 7 };
  const accepted = (localPref: number) => ({ accepted: true, localPref });
  assert.deepEqual(importRoute({ attributes, nextHop }, inside, isOwn), accepted(7));
  assert.deepEqual(importRoute({ attributes, nextHop }, outside, isOwn), accepted(100));
  assert.deepEqual(importRoute({ attributes: through(), nextHop }, inside, isOwn), accepted(100));
});

const rows: readonly (readonly [string, PathAttributes, IpAddr | undefined, typeof inside])[] = [
  ["as-loop", through(65001, 64512), nextHop, outside],
  ["as-loop", through(64512, 64512), nextHop, { ...outside, allowedLocalAs: 1 }],
  ["originator-is-self", { ...through(), originatorId: 1 }, nextHop, inside],
  ["cluster-loop", { ...through(), clusterList: [3, 7] }, nextHop, inside],
  ["next-hop-is-self", through(), own, inside],
  ["no-next-hop", through(), undefined, inside],
];

rows.forEach(([reason, attributes, hop, facts]) => {
  test(`A route is rejected: ${reason}`, () => {
    const verdict = importRoute({ attributes, nextHop: hop }, facts, isOwn);
    assert.deepEqual(verdict, { accepted: false, reason });
  });
});

test("Our AS may be in a path as often as the peer allows", () => {
  const route = { attributes: through(65001, 64512), nextHop };
  assert.equal(importRoute(route, { ...outside, allowedLocalAs: 1 }, isOwn).accepted, true);
});
