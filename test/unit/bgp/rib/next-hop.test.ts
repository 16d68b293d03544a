import assert from "node:assert/strict";
import { test } from "node:test";
import { NextHops } from "../../../../src/bgp/rib/next-hop.ts";
import type { KernelRoute } from "../../../../src/kernel/kernel.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";

const gateway = parseIpAddr("10.0.0.254");

function route(destination: string, rest: Partial<KernelRoute> = {}): KernelRoute {
  return {
    table: 254,
    destination: parsePrefix(destination),
    priority: 0,
    kind: "unicast",
    scope: "universe",
    protocol: 3,
    ifindex: 2,
    ...rest,
  };
}

const routes = [
  route("10.0.0.0/24", { protocol: 2 }),
  route("0.0.0.0/0", { gateway }),
  route("172.16.0.0/16", { kind: "unreachable" }),
  route("192.168.0.0/16", { priority: 100, ifindex: 7 }),
  route("192.168.0.0/16", { priority: 50, ifindex: 5 }),
  route("198.51.100.0/24", { protocol: 12, gateway: parseIpAddr("10.0.0.3") }),
  route("203.0.113.0/24", { table: 100, ifindex: 9 }),
];
const nextHops = new NextHops({ routes, ownAddresses: [parseIpAddr("10.0.0.1")] });
const resolve = (address: string) => nextHops.resolve(parseIpAddr(address));

test("A next hop on a link is the gateway itself", () => {
  assert.deepEqual(resolve("10.0.0.2"), { gateway: "10.0.0.2", ifindex: 2, igpCost: 0 });
});

test("A next hop behind a router resolves to that router", () => {
  assert.deepEqual(resolve("8.8.8.8"), { gateway, ifindex: 2, igpCost: 1 });
});

test("The longest match decides, then the lowest metric", () => {
  assert.equal(resolve("172.16.1.1"), undefined);
  assert.equal(resolve("192.168.1.1")?.ifindex, 5);
});

test("Our own routes and other tables do not count", () => {
  assert.equal(resolve("198.51.100.1")?.gateway, gateway);
  assert.equal(resolve("203.0.113.1")?.gateway, gateway);
  assert.equal(resolve("fd00::1"), undefined);
});

test("Own addresses are known", () => {
  assert.equal(nextHops.isOwn(parseIpAddr("10.0.0.1")), true);
  assert.equal(nextHops.isOwn(parseIpAddr("10.0.0.2")), false);
});

test("agreesWith() looks at what was asked for only", () => {
  const before = new NextHops({ routes, ownAddresses: [] });
  before.resolve(parseIpAddr("10.0.0.2"));
  const more = [...routes, route("10.244.1.5/32", { ifindex: 44 })];
  assert.equal(before.agreesWith(new NextHops({ routes: more, ownAddresses: [] })), true);
  const less = routes.slice(1);
  assert.equal(before.agreesWith(new NextHops({ routes: less, ownAddresses: [] })), false);
});
