import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { sameRoute } from "../../src/kernel/ip/route-identity.ts";
import type { Kernel, KernelRoute } from "../../src/kernel/kernel.ts";
import { openLinuxKernel } from "../../src/kernel/linux-kernel.ts";
import type { IpAddr } from "../../src/lib/ip-addr.ts";
import type { Prefix } from "../../src/lib/prefix.ts";
import { cannotMakeNetns, TestNetns } from "../support/netns.ts";

describe("routes of the kernel", { skip: cannotMakeNetns() }, () => {
  let netns: TestNetns;
  let kernel: Kernel;
  let ifindex = 0;

  before(async () => {
    netns = new TestNetns("route");
    netns.addVeth("v0", "v1");
    netns.ip("addr add 10.0.0.1/24 dev v0");
    netns.ip("addr add fd00::1/64 dev v0 nodad");
    kernel = openLinuxKernel({ netnsFd: netns.fd });
    ifindex = (await kernel.links.get("v0"))?.ifindex ?? 0;
  });

  after(() => {
    kernel.close();
    netns.remove();
  });

  const base = { table: 254, priority: 0, kind: "unicast", scope: "universe" } as const;
  const route = (destination: string, more: Partial<KernelRoute>): KernelRoute => ({
    ...base,
    protocol: 80,
    destination: destination as Prefix,
    ...more,
  });
  const via = (gateway: string) => ({ gateway: gateway as IpAddr });

  /** What is written, and how `ip route` shows it. */
  const rows = (): readonly (readonly [KernelRoute, string])[] => [
    [
      route("10.1.0.0/26", { ...via("10.0.0.9"), ifindex, protocol: 12 }),
      "10.1.0.0/26 via 10.0.0.9 dev v0 proto bird",
    ],
    [
      route("10.1.1.0/26", { ...via("172.16.0.9"), ifindex, onlink: true, mtu: 1400 }),
      "10.1.1.0/26 via 172.16.0.9 dev v0 proto 80 onlink mtu 1400",
    ],
    [
      route("10.1.2.5/32", { ifindex, scope: "link", protocol: 3, priority: 1024 }),
      "10.1.2.5 dev v0 scope link metric 1024",
    ],
    [route("10.1.3.0/26", { kind: "blackhole" }), "blackhole 10.1.3.0/26 proto 80"],
    [route("10.1.4.0/26", { kind: "unreachable" }), "unreachable 10.1.4.0/26 proto 80"],
    [route("10.1.4.0/24", { kind: "prohibit" }), "prohibit 10.1.4.0/24 proto 80"],
    [route("10.1.5.0/24", { kind: "throw" }), "throw 10.1.5.0/24 proto 80"],
    [
      route("0.0.0.0/0", { ...via("10.0.0.9"), ifindex, source: "10.0.0.1" as IpAddr }),
      "default via 10.0.0.9 dev v0 proto 80 src 10.0.0.1",
    ],
    [
      route("10.1.6.0/24", {
        nextHops: [
          { ...via("10.0.0.9"), ifindex, weight: 1 },
          { ...via("172.16.0.8"), ifindex, onlink: true, weight: 3 },
        ],
      }),
      "10.1.6.0/24 proto 80 nexthop via 10.0.0.9 dev v0 weight 1 nexthop via 172.16.0.8 dev v0 weight 3 onlink",
    ],
    [
      route("fd01::/64", { ...via("fd00::9"), ifindex, protocol: 12 }),
      "fd01::/64 via fd00::9 dev v0 proto bird metric 1024 pref medium",
    ],
    [
      route("fd02::5/128", { ifindex, priority: 512, scope: "link" }),
      "fd02::5 dev v0 proto 80 metric 512 pref medium",
    ],
    [
      route("fd03::/64", { kind: "blackhole" }),
      "blackhole fd03::/64 dev lo proto 80 metric 1024 pref medium",
    ],
    [
      route("fd04::/64", {
        nextHops: [
          { ...via("fd00::9"), ifindex },
          { ...via("fd00::8"), ifindex },
        ],
      }),
      "fd04::/64 proto 80 metric 1024 pref medium nexthop via fd00::8 dev v0 weight 1 nexthop via fd00::9 dev v0 weight 1",
    ],
  ];

  /** As `ip route` shows it, with the next hops of one route on one line, in order. */
  function shown(family: 4 | 6): string[] {
    const text = netns.ip(`-${family} route show table main`).replaceAll(/\s*\n\t/g, " ");
    return text.split("\n").map((line) => {
      const [head = "", ...hops] = line.trim().replaceAll(/\s+/g, " ").split(" nexthop ");
      return [head.trim(), ...hops.map((hop) => hop.trim()).sort()].join(" nexthop ");
    });
  }

  test("replace() gives what ip route shows, and list() what was written", async () => {
    const wanted = rows();
    assert.deepEqual(await kernel.routes.replace(wanted.map(([entry]) => entry)), []);
    const lines = [...shown(4), ...shown(6)];
    for (const [, line] of wanted)
      assert.ok(lines.includes(line), `${line}\nnot in\n${lines.join("\n")}`);
    const listed = await kernel.routes.list({ table: 254 });
    for (const [entry] of wanted) {
      const found = listed.find((candidate) => sameRoute(candidate, entry));
      assert.ok(found, `${JSON.stringify(entry)} is not listed`);
    }
  });

  test("list() selects by family, table and protocol", async () => {
    await kernel.routes.replace([route("10.7.0.0/24", { ifindex, scope: "link", table: 1077 })]);
    const list = async (filter: Parameters<Kernel["routes"]["list"]>[0]) =>
      (await kernel.routes.list(filter)).map(({ destination }) => destination).sort();
    assert.deepEqual(await list({ table: 1077 }), ["10.7.0.0/24"]);
    assert.deepEqual(await list({ table: 4711 }), []);
    assert.deepEqual(await list({ table: 254, protocol: 12 }), ["10.1.0.0/26", "fd01::/64"]);
    assert.deepEqual(await list({ table: 254, protocol: 12, family: 6 }), ["fd01::/64"]);
  });

  test("replace() changes a route in place and reports each refused entry", async () => {
    const good = route("10.1.0.0/26", { ...via("10.0.0.8"), ifindex, protocol: 12 });
    const bad = route("10.8.0.0/24", { ...via("99.0.0.1") });
    const gone = route("10.9.0.0/24", { ifindex: 4242, scope: "link" });
    const failures = await kernel.routes.replace([bad, good, gone]);
    assert.deepEqual(
      failures.map(({ entry, errno }) => [entry.destination, errno]),
      [
        ["10.8.0.0/24", 101],
        ["10.9.0.0/24", 19],
      ],
    );
    assert.match(failures[0]?.message ?? "", /gateway/);
    assert.ok(shown(4).includes("10.1.0.0/26 via 10.0.0.8 dev v0 proto bird"));
    assert.equal(shown(4).filter((line) => line.startsWith("10.1.0.0/26")).length, 1);
  });

  test("remove() takes key and protocol, and what is gone is no failure", async () => {
    const target = route("10.6.0.0/24", { ifindex, scope: "link", priority: 7, protocol: 80 });
    const other = { ...target, priority: 9 };
    await kernel.routes.replace([target, other]);
    assert.deepEqual(await kernel.routes.remove([{ ...target, protocol: 12 }]), []);
    assert.equal(shown(4).filter((line) => line.startsWith("10.6.0.0/24")).length, 2);
    assert.deepEqual(await kernel.routes.remove([target, target]), []);
    assert.deepEqual(
      shown(4).filter((line) => line.startsWith("10.6.0.0/24")),
      ["10.6.0.0/24 dev v0 proto 80 scope link metric 9"],
    );
    const all = await kernel.routes.list();
    const ours = all.filter(({ protocol }) => [3, 12, 80].includes(protocol));
    assert.deepEqual(await kernel.routes.remove(ours), []);
    const left = (await kernel.routes.list()).filter(({ protocol }) => protocol !== 2);
    assert.deepEqual(left, []);
  });

  test("replace() turns an IPv6 route into each other kind, and one stays", async () => {
    const destination = "fd07::/64";
    const forms: Partial<KernelRoute>[] = [
      { ...via("fd00::9"), ifindex },
      { kind: "blackhole" },
      { ifindex },
      { nextHops: ["fd00::8", "fd00::9"].map((gateway) => ({ ...via(gateway), ifindex })) },
    ];
    for (const from of forms) {
      for (const to of forms) {
        await kernel.routes.replace([route(destination, from)]);
        assert.deepEqual(await kernel.routes.replace([route(destination, to)]), []);
        const listed = await kernel.routes.list({ table: 254, family: 6 });
        const found = listed.filter((entry) => entry.destination === destination);
        const what = `${JSON.stringify(from)} to ${JSON.stringify(to)}`;
        assert.equal(found.length, 1, what);
        assert.ok(sameRoute(found[0] as KernelRoute, route(destination, to)), what);
      }
    }
    await kernel.routes.remove([route(destination, {})]);
  });

  test("remove() of an IPv6 route without priority leaves other priorities alone", async () => {
    const plain = route("fd06::/64", { ifindex });
    const other = { ...plain, priority: 99 };
    await kernel.routes.replace([plain, other]);
    await kernel.routes.remove([plain]);
    assert.deepEqual(
      shown(6).filter((line) => line.startsWith("fd06::")),
      ["fd06::/64 dev v0 proto 80 metric 99 pref medium"],
    );
    await kernel.routes.remove([other]);
  });

  test("lookup() tells the way of a packet, or that there is none", async () => {
    await kernel.routes.replace([route("10.5.0.0/16", { ...via("10.0.0.9"), ifindex })]);
    const found = await kernel.routes.lookup("10.5.1.1" as IpAddr);
    assert.equal(found?.gateway, "10.0.0.9");
    assert.equal(found?.ifindex, ifindex);
    const found6 = await kernel.routes.lookup("fd00::77" as IpAddr);
    assert.equal(found6?.ifindex, ifindex);
    assert.equal(await kernel.routes.lookup("192.0.2.1" as IpAddr), undefined);
    assert.equal(await kernel.routes.lookup("2001:db8::1" as IpAddr), undefined);
  });

  test("10,000 routes are written and listed without a pause of the event loop", async () => {
    const many = Array.from({ length: 10_000 }, (_, index) =>
      route(`10.${64 + (index >> 10)}.${(index >> 2) & 255}.${(index & 3) << 6}/26`, {
        ...via("10.0.0.9"),
        ifindex,
      }),
    );
    let turns = 0;
    const ticks = setInterval(() => turns++, 1);
    let listed: readonly KernelRoute[] = [];
    try {
      assert.deepEqual(await kernel.routes.replace(many), []);
      listed = await kernel.routes.list({ protocol: 80, family: 4 });
      assert.deepEqual(await kernel.routes.remove(listed), []);
    } finally {
      // It would keep a failed test's process alive.
      clearInterval(ticks);
    }
    assert.ok(listed.length >= many.length, `${listed.length} routes`);
    // Each of the three calls at once would leave a turn or two.
    assert.ok(turns > 10, `the event loop had ${turns} turns`);
  });
});
