import assert from "node:assert/strict";
import { test } from "node:test";
import { sameRoute } from "../../../../src/kernel/ip/route-identity.ts";
import type { KernelRoute } from "../../../../src/kernel/kernel.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";

const unicast: KernelRoute = {
  table: 254,
  destination: parsePrefix("10.1.2.0/26"),
  priority: 1024,
  kind: "unicast",
  scope: "universe",
  protocol: 12,
  gateway: parseIpAddr("10.0.0.2"),
  ifindex: 2,
};

test("sameRoute() sees what a packet would see", () => {
  assert.equal(sameRoute(unicast, { ...unicast, mtu: 0 }), true);
  assert.equal(sameRoute(unicast, { ...unicast, gateway: parseIpAddr("10.0.0.3") }), false);
  assert.equal(sameRoute(unicast, { ...unicast, kind: "blackhole" }), false);
});

test("sameRoute() asks nothing of the device of a route that drops packets", () => {
  const { gateway: _g, ifindex: _i, ...rest } = unicast;
  const blackhole: KernelRoute = {
    ...rest,
    destination: parsePrefix("fd00:10::/122"),
    kind: "blackhole",
  };
  assert.equal(sameRoute(blackhole, { ...blackhole, ifindex: 1 }), true);
});

test("sameRoute() takes next hops in any order", () => {
  const { gateway: _g, ifindex: _i, ...rest } = unicast;
  const hops = [2, 3].map((host) => ({ gateway: parseIpAddr(`10.0.0.${host}`), ifindex: 2 }));
  const reversed = [...hops].reverse();
  assert.equal(sameRoute({ ...rest, nextHops: hops }, { ...rest, nextHops: reversed }), true);
});
