import { strict as assert } from "node:assert";
import { test } from "node:test";
import { KernelLinks } from "../../../../src/felix/dataplane/kernel-links.ts";
import { KernelState } from "../../../../src/felix/dataplane/kernel-state.ts";
import { isOwnRoute } from "../../../../src/felix/dataplane/kernel-tables.ts";
import type {
  FdbEntry,
  KernelLink,
  KernelNeighbor,
  KernelRoute,
} from "../../../../src/kernel/kernel.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { parseMac } from "../../../../src/lib/mac.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { FakeKernel } from "./fake-kernel.ts";

const config = {
  interfacePrefixes: ["cali"],
  deviceRouteProtocol: 3,
  removeExternalRoutes: true,
  programClusterRoutes: "EnabledIPIPOnly",
} as const;
const eth0 = 2;
const calia = 5;
const calib = 6;
const vxlan = 7;
const ipip = 8;

function link(ifindex: number, name: string): KernelLink {
  return { ifindex, name, up: true, running: true, mtu: 1500 };
}

function route(destination: string, rest: Partial<KernelRoute> = {}): KernelRoute {
  return {
    table: 254,
    destination: parsePrefix(destination),
    priority: 0,
    kind: "unicast",
    scope: "universe",
    protocol: 3,
    ...rest,
  };
}

async function setUp() {
  const fake = new FakeKernel();
  const clock = new FakeClock();
  fake.links.push(
    link(eth0, "eth0"),
    link(calia, "calia"),
    link(calib, "calib"),
    link(vxlan, "vxlan.calico"),
    link(ipip, "tunl0"),
  );
  const links = new KernelLinks(fake.kernel.links, clock);
  await links.refresh();
  const state = new KernelState({ kernel: fake.kernel, clock }, links, config);
  const apply = (routes: readonly KernelRoute[], neighbors: readonly KernelNeighbor[] = []) =>
    state.apply({ routes, neighbors, fdbEntries: [] });
  return { fake, clock, links, state, apply };
}

const podRoute = route("10.0.0.1/32", { priority: 1024, scope: "link", ifindex: calia });

const ownership: readonly (readonly [string, KernelRoute, boolean])[] = [
  ["protocol 80, anywhere", route("10.0.0.0/8", { protocol: 80, ifindex: eth0 }), true],
  ["a blackhole of protocol 80", route("10.0.0.0/8", { protocol: 80, kind: "blackhole" }), true],
  ["a pod's", podRoute, true],
  ["one that somebody else made for a pod", { ...podRoute, protocol: 4 }, true],
  ["bird's on a pod's interface", { ...podRoute, protocol: 12 }, false],
  ["the kernel's on a pod's interface", { ...podRoute, protocol: 2 }, false],
  ["boot's on eth0", route("0.0.0.0/0", { ifindex: eth0 }), false],
  ["bird's on eth0", route("10.0.0.0/8", { protocol: 12, ifindex: eth0 }), false],
  ["a tunnel's", route("10.0.0.8/29", { ifindex: vxlan }), true],
  ["somebody else's on the tunnel", route("10.0.0.8/29", { ifindex: vxlan, protocol: 4 }), false],
  ["bird's on the IPIP device", route("10.0.0.8/29", { ifindex: ipip, protocol: 12 }), true],
  ["boot's on the IPIP device", route("10.0.0.8/29", { ifindex: ipip }), false],
  ["of another table", { ...podRoute, table: 100 }, false],
];
for (const [what, given, own] of ownership) {
  test(`isOwnRoute() of a route that is ${what} is ${own}`, async () => {
    const { links } = await setUp();
    assert.equal(isOwnRoute(given, links, config), own);
  });
}

test("isOwnRoute() leaves bird's routes on the IPIP device to bird, where bird programs IPIP", async () => {
  const { links } = await setUp();
  const given = route("10.0.0.8/29", { ifindex: ipip, protocol: 12 });
  for (const programClusterRoutes of ["Disabled", "EnabledNoEncapOnly"] as const) {
    assert.equal(isOwnRoute(given, links, { ...config, programClusterRoutes }), false);
  }
});

test("isOwnRoute() leaves what others put on pods' interfaces, when told so", async () => {
  const { links } = await setUp();
  const lenient = { ...config, removeExternalRoutes: false };
  assert.equal(isOwnRoute({ ...podRoute, protocol: 4 }, links, lenient), false);
  assert.equal(isOwnRoute(podRoute, links, lenient), true);
});

test("apply() makes the table what is wanted, leaves what is others', and then rests", async () => {
  const { fake, clock, apply } = await setUp();
  clock.advance(10_000);
  fake.add(route("0.0.0.0/0", { ifindex: eth0 }));
  fake.add(route("10.9.0.0/16", { protocol: 80, kind: "blackhole" }));
  fake.add(route("10.0.0.7/32", { ifindex: calib }));
  await apply([podRoute]);
  assert.deepEqual(fake.text(), [
    "0.0.0.0/0 dev 2 proto 3",
    "10.0.0.1/32 dev 5 proto 3 scope link",
  ]);
  const { writes } = fake;
  await apply([podRoute]);
  assert.equal(fake.writes, writes);
});

test("a fresh process that finds all as wanted writes nothing", async () => {
  const { fake, apply } = await setUp();
  fake.add(podRoute);
  await apply([podRoute]);
  assert.equal(fake.writes, 0);
});

test("a route on an interface that just came stays for 10 s: its endpoint may be on its way", async () => {
  const { fake, clock, state, apply } = await setUp();
  fake.add(route("10.0.0.7/32", { ifindex: calib }));
  await apply([podRoute]);
  assert.ok(fake.text().includes("10.0.0.7/32 dev 6 proto 3"));
  clock.advance(9_999);
  state.resync();
  await apply([podRoute]);
  assert.ok(fake.text().includes("10.0.0.7/32 dev 6 proto 3"));
  clock.advance(1);
  state.resync();
  await apply([podRoute]);
  assert.deepEqual(fake.text(), ["10.0.0.1/32 dev 5 proto 3 scope link"]);
});

test("a new interface's other routes go as soon as it has one of ours", async () => {
  const { fake, state, apply } = await setUp();
  fake.add(route("10.0.0.1/32", { ifindex: calia }));
  await apply([podRoute]);
  state.resync();
  await apply([podRoute]);
  assert.deepEqual(fake.text(), ["10.0.0.1/32 dev 5 proto 3 scope link"]);
});

test("a refused route is told, tried again, and stops no other", async () => {
  const { fake, apply } = await setUp();
  const other = route("10.0.0.2/32", { priority: 1024, scope: "link", ifindex: calib });
  fake.refused.add("10.0.0.1/32");
  const report = await apply([podRoute, other]);
  assert.deepEqual([...report.failedRoutes], ["254 10.0.0.1/32 1024"]);
  assert.equal(report.errors.length, 1);
  assert.deepEqual(fake.text(), ["10.0.0.2/32 dev 6 proto 3 scope link"]);
  fake.refused.clear();
  assert.equal((await apply([podRoute, other])).failedRoutes.size, 0);
  assert.equal(fake.text().length, 2);
});

test("a refused neighbor stops no route", async () => {
  const { fake, apply } = await setUp();
  fake.refused.add("10.0.0.1");
  const neighbor: KernelNeighbor = {
    ifindex: calia,
    address: parseIpAddr("10.0.0.1"),
    mac: parseMac("02:00:00:00:00:01"),
    state: "permanent",
  };
  const report = await apply([podRoute], [neighbor]);
  assert.equal(report.errors.length, 1);
  assert.equal(report.failedRoutes.size, 0);
  assert.equal(fake.text().length, 1);
});

test("drifts() tells others' changes from our own", async () => {
  const { state, apply } = await setUp();
  await apply([podRoute]);
  const event = (op: "set" | "removed", given: KernelRoute) =>
    state.drifts({ kind: "route", op, route: given });
  assert.equal(event("set", podRoute), false, "our own");
  assert.equal(event("removed", podRoute), true);
  assert.equal(event("set", { ...podRoute, ifindex: calib }), true, "led elsewhere");
  assert.equal(event("removed", { ...podRoute, ifindex: calib }), false, "what we replaced");
  assert.equal(event("set", route("10.5.0.0/16", { protocol: 80 })), true, "nobody wants it");
  assert.equal(event("removed", route("10.5.0.0/16", { protocol: 80 })), false);
  assert.equal(event("set", route("10.5.0.0/16", { protocol: 12 })), false, "bgp's");
});

test("drifts() tells others' changes of forwarding entries from our own", async () => {
  const { state } = await setUp();
  const entry: FdbEntry = {
    ifindex: vxlan,
    mac: parseMac("66:00:00:00:00:01"),
    destination: parseIpAddr("192.168.1.12"),
  };
  await state.apply({ routes: [], neighbors: [], fdbEntries: [entry] });
  const event = (op: "set" | "removed", given: FdbEntry) =>
    state.drifts({ kind: "fdb", op, entry: given });
  const elsewhere = { ...entry, destination: parseIpAddr("192.168.1.13") };
  const stranger = { ...entry, mac: parseMac("66:00:00:00:00:02") };
  assert.equal(event("set", entry), false, "our own");
  assert.equal(event("removed", entry), true);
  assert.equal(event("set", elsewhere), true, "led elsewhere");
  assert.equal(event("removed", elsewhere), false, "what we replaced");
  assert.equal(event("set", stranger), true, "nobody wants it");
  assert.equal(event("set", { ...stranger, ifindex: eth0 }), false, "another device's");
});

const bgps = (destination: string) =>
  route(destination, { protocol: 12, priority: 1024, ifindex: eth0 });

test("a route to what is awaited from bgp stays until bgp's is there, and not for ever", async () => {
  const { fake, clock, state } = await setUp();
  const blocks = ["10.0.1.0/26", "10.0.2.0/26", "10.0.3.0/26"];
  const ours = blocks.map((to) => route(to, { protocol: 80, ifindex: eth0 }));
  await state.apply({ routes: ours, neighbors: [], fdbEntries: [] });
  await fake.kernel.routes.replace([bgps("10.0.3.0/26")]);
  const awaited = new Set(blocks.map(parsePrefix));
  const left = async () => {
    await state.apply({ routes: [], neighbors: [], fdbEntries: [], awaited });
    return [...fake.routes.values()]
      .map(({ destination, protocol }) => `${destination} ${protocol}`)
      .sort();
  };
  const waiting = ["10.0.1.0/26 80", "10.0.2.0/26 80", "10.0.3.0/26 12"];
  assert.deepEqual(await left(), waiting);
  await fake.kernel.routes.replace([bgps("10.0.1.0/26")]);
  assert.deepEqual(await left(), [...waiting, "10.0.1.0/26 12"].sort());
  const event = (to: string) => ({ kind: "route", op: "set", route: bgps(to) }) as const;
  assert.equal(state.drifts(event("10.0.9.0/26")), false);
  assert.equal(state.drifts(event("10.0.1.0/26")), true);
  assert.deepEqual(await left(), ["10.0.1.0/26 12", "10.0.2.0/26 80", "10.0.3.0/26 12"]);
  clock.advance(31_000);
  state.resync();
  assert.deepEqual(await left(), ["10.0.1.0/26 12", "10.0.3.0/26 12"]);
});

test("a route that waits in vain goes at the next apply, though nobody asks for a look", async () => {
  const { fake, clock, state } = await setUp();
  const before = route("10.0.1.0/26", { protocol: 80, ifindex: eth0 });
  await state.apply({ routes: [before], neighbors: [], fdbEntries: [] });
  const awaited = new Set([before.destination]);
  const apply = () => state.apply({ routes: [], neighbors: [], fdbEntries: [], awaited });
  assert.equal(state.dueInMs, undefined);
  await apply();
  assert.equal(state.dueInMs, 30_000);
  clock.advance(29_999);
  await apply();
  assert.deepEqual([fake.routes.size, state.dueInMs], [1, 1]);
  clock.advance(1);
  await apply();
  assert.deepEqual([fake.routes.size, state.dueInMs], [0, undefined]);
});

test("a new route is there before the one that it stands in for goes", async () => {
  const { fake, apply } = await setUp();
  await apply([podRoute]);
  const seen: number[] = [];
  const { delete: remove } = fake.routes;
  fake.routes.delete = (key) => {
    seen.push(fake.routes.size);
    return remove.call(fake.routes, key);
  };
  await apply([{ ...podRoute, priority: 512 }]);
  assert.deepEqual([seen, fake.routes.size], [[2], 1]);
});

test("a route of ours that nobody programs any more goes at once", async () => {
  const { fake, state } = await setUp();
  await fake.kernel.routes.replace([route("10.0.1.0/26", { protocol: 80, ifindex: eth0 })]);
  await state.apply({ routes: [], neighbors: [], fdbEntries: [], awaited: new Set() });
  assert.equal(fake.routes.size, 0);
});

test("a route that lacks something for a while is replaced in place", async () => {
  const { fake, state } = await setUp();
  const before = route("10.0.1.0/26", { ifindex: ipip, protocol: 80 });
  const after = route("10.0.1.0/26", { ifindex: vxlan });
  const awaited = new Set([before.destination]);
  await state.apply({ routes: [before], neighbors: [], fdbEntries: [] });
  await state.apply({ routes: [], neighbors: [], fdbEntries: [], awaited });
  assert.deepEqual(fake.text(), ["10.0.1.0/26 dev 8 proto 80"]);
  const { writes } = fake;
  await state.apply({ routes: [after], neighbors: [], fdbEntries: [] });
  assert.deepEqual(fake.text(), ["10.0.1.0/26 dev 7 proto 3"]);
  assert.equal(fake.writes, writes + 1, "nothing was removed");
});
