import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { readAddress } from "../../../../src/kernel/ip/address-message.ts";
import { readLink } from "../../../../src/kernel/ip/link-message.ts";
import { readFdbEntry, readNeighbor } from "../../../../src/kernel/ip/neighbor-message.ts";
import { routeKey, sameRoute } from "../../../../src/kernel/ip/route-identity.ts";
import { readRoute, writeRoute } from "../../../../src/kernel/ip/route-message.ts";
import { readRule } from "../../../../src/kernel/ip/rule-message.ts";
import { readListedSet } from "../../../../src/kernel/ipset/ipset-message.ts";
import type { KernelRoute } from "../../../../src/kernel/kernel.ts";
import { MessageWriter } from "../../../../src/kernel/netlink/message.ts";
import { type IpAddr, type IpFamily, ipFromBytes } from "../../../../src/lib/ip-addr.ts";
import { type Prefix, prefixOf } from "../../../../src/lib/prefix.ts";

function addresses(family: IpFamily): fc.Arbitrary<IpAddr> {
  const length = family === 4 ? 4 : 16;
  return fc.uint8Array({ minLength: length, maxLength: length }).map(ipFromBytes);
}

/** Of IPv4 routes also IPv6 ones (RFC 8950). */
function gateways(family: IpFamily): fc.Arbitrary<IpAddr> {
  return family === 4 ? fc.oneof(addresses(4), addresses(6)) : addresses(6);
}

function routes(family: IpFamily): fc.Arbitrary<KernelRoute> {
  const ifindex = fc.integer({ min: 1, max: 100_000 });
  const hop = fc.record(
    {
      gateway: gateways(family),
      ifindex,
      onlink: fc.constant(true as const),
      weight: fc.integer({ min: 1, max: 256 }),
    },
    { requiredKeys: ["ifindex", "weight"], noNullPrototype: true },
  );
  const way = fc.oneof(
    fc.record(
      { gateway: gateways(family), ifindex, onlink: fc.constant(true as const) },
      { requiredKeys: ["ifindex"], noNullPrototype: true },
    ),
    fc.record({ nextHops: fc.array(hop, { minLength: 2, maxLength: 9 }) }),
  );
  const key = fc.record({
    table: fc.constantFrom(254, 255, 1000, 0xffff_fffe),
    destination: fc
      .tuple(addresses(family), fc.nat({ max: family === 4 ? 32 : 128 }))
      .map(([address, length]) => prefixOf(address, length)),
    priority: fc.integer({ min: 1, max: 0xffff_ffff }),
    protocol: fc.integer({ min: 1, max: 255 }),
    scope: fc.constantFrom("universe", "link", "host"),
  });
  const more = fc.record(
    {
      source: addresses(family),
      mtu: fc.integer({ min: 68, max: 9000 }),
      encap: fc.record(
        { destination: addresses(6), source: addresses(6) },
        { noNullPrototype: true },
      ),
    },
    { requiredKeys: [] },
  );
  return fc
    .tuple(key, way, more)
    .map(([first, second, third]) => ({ kind: "unicast", ...first, ...second, ...third }));
}

function bodyOf(route: KernelRoute, forDelete = false): Buffer {
  const writer = new MessageWriter();
  writeRoute(writer, route, { forDelete });
  return Buffer.from(writer.bytes());
}

describe("routes as messages", () => {
  for (const family of [4, 6] as const) {
    test(`an IPv${family} route is read as it was written`, () => {
      fc.assert(
        fc.property(routes(family), (route) => {
          assert.deepEqual(readRoute(bodyOf(route)), route);
        }),
      );
    });
  }

  test("the octets are those of ip route add blackhole 10.65.0.0/26 proto 80", () => {
    const body = bodyOf({
      table: 254,
      destination: "10.65.0.0/26" as Prefix,
      priority: 0,
      protocol: 80,
      kind: "blackhole",
      scope: "universe",
    });
    assert.equal(
      body.toString("hex"),
      // rtmsg; RTA_DST; RTA_TABLE; RTA_PRIORITY
      "021a0000fe50000600000000" + "080001000a410000" + "08000f00fe000000" + "0800060000000000",
    );
  });

  test("a removal carries key and protocol only", () => {
    const key = { table: 1000, destination: "fd00::/64" as Prefix, priority: 0, protocol: 12 };
    const plain: KernelRoute = { ...key, kind: "unicast", scope: "universe", ifindex: 7 };
    const other: KernelRoute = { ...key, kind: "blackhole", scope: "link" };
    assert.deepEqual(bodyOf(plain, true), bodyOf(other, true));
    assert.equal(readRoute(bodyOf(plain))?.priority, 1024);
  });

  test("reading any octets as any kind never throws", () => {
    const readers = [readRoute, readLink, readAddress, readNeighbor, readFdbEntry, readRule];
    const heads = [[2], [10], [0], [7]].map((head) => Uint8Array.from(head));
    const bytes = fc
      .tuple(fc.constantFrom(...heads), fc.uint8Array({ maxLength: 120 }))
      .map(([head, rest]) => Buffer.concat([head, rest]));
    fc.assert(
      fc.property(bytes, (body) => {
        for (const read of [...readers, readListedSet]) read(Buffer.from(body));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("sameRoute()", () => {
  const route: KernelRoute = {
    table: 254,
    destination: "10.1.0.0/26" as Prefix,
    priority: 0,
    protocol: 80,
    kind: "unicast",
    scope: "universe",
    gateway: "10.0.0.9" as IpAddr,
    ifindex: 3,
  };

  test("tells any difference that the kernel keeps", () => {
    assert.ok(sameRoute(route, { ...route, onlink: false }));
    const others: Partial<KernelRoute>[] = [
      { gateway: "10.0.0.8" as IpAddr },
      { ifindex: 4 },
      { onlink: true },
      { protocol: 12 },
      { scope: "link" },
      { kind: "blackhole" },
      { mtu: 1400 },
      { source: "10.0.0.1" as IpAddr },
      { priority: 1024 },
      { encap: { source: "fd00::1" as IpAddr, destination: "fd00::2" as IpAddr } },
    ];
    for (const other of others) assert.ok(!sameRoute(route, { ...route, ...other }));
  });

  test("IPv6 knows no scopes, and no priority means 1024", () => {
    const v6 = { ...route, destination: "fd00::/64" as Prefix, gateway: "fd00::9" as IpAddr };
    assert.ok(sameRoute(v6, { ...v6, scope: "link", priority: 1024 }));
    assert.equal(routeKey(v6), routeKey({ ...v6, priority: 1024 }));
    assert.notEqual(routeKey(route), routeKey({ ...route, priority: 1024 }));
  });

  test("the order of next hops does not matter, and one next hop may be written either way", () => {
    const { gateway, ifindex, ...rest } = route;
    const hops = [
      { gateway: "10.0.0.9" as IpAddr, ifindex: 3 },
      { gateway: "10.0.0.8" as IpAddr, ifindex: 3, weight: 1 },
    ];
    assert.ok(sameRoute({ ...rest, nextHops: hops }, { ...rest, nextHops: hops.toReversed() }));
    assert.ok(sameRoute(route, { ...rest, nextHops: hops.slice(0, 1) }));
    assert.ok(!sameRoute(route, { ...rest, nextHops: hops }));
    assert.deepEqual([gateway, ifindex], ["10.0.0.9", 3]);
  });
});
