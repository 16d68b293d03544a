import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { type FibDeps, FibSync } from "../../../../src/bgp/fib/fib-sync.ts";
import type { KernelRoute, RouteTable } from "../../../../src/kernel/kernel.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { createLogger } from "../../../../src/lib/log.ts";
import { type Prefix, parsePrefix } from "../../../../src/lib/prefix.ts";
import { FakeClock } from "../../../support/fake-clock.ts";

let stop = new AbortController();
afterEach(() => {
  stop.abort();
  stop = new AbortController();
});

function route(destination: string, host = 2): KernelRoute {
  return {
    table: 254,
    destination: parsePrefix(destination),
    priority: 1024,
    kind: "unicast",
    scope: "universe",
    protocol: 12,
    gateway: parseIpAddr(`10.0.0.${host}`),
    ifindex: 2,
  };
}

/** A main table, what was written to it, and a request to fail. */
function fakeRoutes(...present: KernelRoute[]) {
  const table = new Map(present.map((each) => [each.destination, each]));
  const written: string[] = [];
  let failures = 0;
  return {
    table,
    written,
    failNext: () => {
      failures++;
    },
    kernel: {
      links: { get: async () => ({ ifindex: 9 }) as never },
      routes: {
        list: async (filter: { readonly table: number; readonly protocol?: number }) =>
          [...table.values()].filter(
            (each) =>
              each.table === filter.table &&
              (filter.protocol === undefined || each.protocol === filter.protocol),
          ),
        replace: async (routes: readonly KernelRoute[]) => {
          if (failures > 0) {
            failures--;
            return routes.map((entry) => ({ entry, errno: 101, message: "unreachable" }));
          }
          for (const each of routes) {
            table.set(each.destination, each);
            written.push(`+${each.destination}`);
          }
          return [];
        },
        remove: async (routes: readonly KernelRoute[]) => {
          for (const each of routes) {
            table.delete(each.destination);
            written.push(`-${each.destination}`);
          }
          return [];
        },
      } as never,
    },
  };
}

async function setUp(
  kernel: ReturnType<typeof fakeRoutes>["kernel"],
  mayKeep = () => true,
  more: Partial<Pick<FibDeps, "table" | "ownsTunnel" | "isHandedOver">> = {},
) {
  const clock = new FakeClock();
  let keep = mayKeep;
  const log = createLogger({ name: "test", level: "silent" });
  const fib = new FibSync({
    kernel: kernel as never,
    clock,
    log,
    mayKeep: () => keep(),
    isHandedOver: () => false,
    ownsTunnel: () => false,
    ...more,
  });
  const adopted = await fib.adopt();
  void fib.run(stop.signal);
  const converge = () => {
    keep = () => false;
    fib.converged();
  };
  return { fib, clock, adopted, converge, pass: (ms: number) => clock.advanceSlowly(ms, 10) };
}

const handOver = (fib: FibSync, ...destinations: string[]) =>
  fib.setRoutes(new Map(destinations.map((each) => [parsePrefix(each), "handedOver"])));

const set = (fib: FibSync, routes: Readonly<Record<string, KernelRoute | undefined>>) =>
  fib.setRoutes(new Map(Object.entries(routes) as [Prefix, KernelRoute | undefined][]));

test("Nothing is written before the first routes are stated", async () => {
  const { kernel, written } = fakeRoutes(route("10.1.1.0/26"));
  const { fib, adopted, pass } = await setUp(kernel);
  fib.onKernelEvents([{ kind: "lost" }]);
  await pass(2000);
  assert.deepEqual([adopted, written], [1, []]);
});

test("Routes of an earlier run stay until the RIB has converged", async () => {
  const { kernel, written, table } = fakeRoutes(route("10.1.1.0/26"), route("10.1.2.0/26"));
  const { fib, converge, pass } = await setUp(kernel);
  set(fib, { "10.1.1.0/26": route("10.1.1.0/26"), "10.1.3.0/26": route("10.1.3.0/26") });
  await pass(100);
  assert.deepEqual(written, ["+10.1.3.0/26"]);
  converge();
  await pass(100);
  assert.deepEqual(written, ["+10.1.3.0/26", "-10.1.2.0/26"]);
  assert.deepEqual([...table.keys()], ["10.1.1.0/26", "10.1.3.0/26"]);
});

test("Routes of an earlier run that cannot be wanted go at once", async () => {
  const { kernel, written } = fakeRoutes(route("10.1.1.0/26"));
  const { fib, pass } = await setUp(kernel, () => false);
  set(fib, {});
  await pass(100);
  assert.deepEqual(written, ["-10.1.1.0/26"]);
});

test("Routes of an earlier run that felix is to have stay until its own are in the kernel", async () => {
  const { kernel, written } = fakeRoutes(route("10.1.1.0/26"), route("10.1.2.0/26"));
  const more = { isHandedOver: () => true };
  const { fib, pass } = await setUp(kernel, () => false, more);
  handOver(fib, "10.1.1.0/26", "10.1.2.0/26");
  await pass(1_000);
  assert.deepEqual(written, []);
  const felixs = { ...route("10.1.1.0/26"), protocol: 80 };
  fib.onKernelEvents([{ kind: "route", op: "set", route: felixs }]);
  await pass(100);
  assert.deepEqual(written, ["-10.1.1.0/26"]);
  await pass(31_000);
  assert.deepEqual(written, ["-10.1.1.0/26", "-10.1.2.0/26"]);
});

test("A route that the RIB has decided on and lost again is not kept as one of an earlier run", async () => {
  const { kernel, table } = fakeRoutes(route("10.1.1.0/26"));
  const { fib, pass } = await setUp(kernel);
  set(fib, { "10.1.1.0/26": route("10.1.1.0/26") });
  await pass(100);
  set(fib, { "10.1.1.0/26": undefined });
  await pass(100);
  assert.equal(table.size, 0);
});

test("Of another table than main only that one is kept", async () => {
  const there = (destination: string) => ({ ...route(destination), table: 100 });
  const { kernel, written } = fakeRoutes(route("10.1.1.0/26"), there("10.1.2.0/26"));
  const { fib, adopted, pass } = await setUp(kernel, () => false, { table: 100 });
  assert.equal(adopted, 1);
  set(fib, { "10.1.3.0/26": there("10.1.3.0/26") });
  await pass(100);
  assert.deepEqual([...written].sort(), ["+10.1.3.0/26", "-10.1.2.0/26"]);
  fib.onKernelEvents([{ kind: "route", op: "removed", route: there("10.1.3.0/26") }]);
  await pass(100);
  fib.onKernelEvents([{ kind: "route", op: "set", route: route("10.1.9.0/26") }]);
  await pass(100);
  assert.equal(written.length, 2);
});

test("The same routes again write nothing", async () => {
  const { kernel, written } = fakeRoutes();
  const { fib, pass } = await setUp(kernel);
  for (let i = 0; i < 3; i++) {
    set(fib, { "10.1.1.0/26": route("10.1.1.0/26") });
    await pass(100);
  }
  assert.deepEqual(written, ["+10.1.1.0/26"]);
});

test("A changed metric leaves no second route", async () => {
  const { kernel, written } = fakeRoutes();
  const { fib, pass } = await setUp(kernel);
  set(fib, { "10.1.1.0/26": route("10.1.1.0/26") });
  await pass(100);
  set(fib, { "10.1.1.0/26": { ...route("10.1.1.0/26"), priority: 500 } });
  await pass(100);
  assert.deepEqual(written.slice(1).sort(), ["+10.1.1.0/26", "-10.1.1.0/26"]);
});

test("A failed route is tried again after a second, the others are not held up", async () => {
  const fake = fakeRoutes();
  const { fib, pass } = await setUp(fake.kernel);
  fake.failNext();
  set(fib, { "10.1.1.0/26": route("10.1.1.0/26") });
  await pass(500);
  assert.equal(fake.table.size, 0);
  await pass(1000);
  assert.equal(fake.table.size, 1);
});

test("What somebody changes is repaired, what concerns us not is not looked at", async () => {
  const { kernel, table, written } = fakeRoutes();
  const { fib, pass } = await setUp(kernel);
  const wanted = route("10.1.1.0/26");
  set(fib, { "10.1.1.0/26": wanted });
  await pass(100);
  table.delete(wanted.destination);
  fib.onKernelEvents([
    { kind: "route", op: "set", route: { ...route("10.9.9.0/26"), protocol: 3 } },
  ]);
  await pass(100);
  assert.equal(table.size, 0);
  fib.onKernelEvents([{ kind: "route", op: "removed", route: wanted }]);
  await pass(100);
  assert.equal(table.size, 1);
  const foreign = route("10.1.9.0/26");
  table.set(foreign.destination, foreign);
  fib.onKernelEvents([{ kind: "route", op: "set", route: foreign }]);
  await pass(100);
  assert.deepEqual(written, ["+10.1.1.0/26", "+10.1.1.0/26", "-10.1.9.0/26"]);
});

test("A change of the link that our routes use makes us look, one of a pod's link does not", async () => {
  const { kernel, table } = fakeRoutes();
  const { fib, pass } = await setUp(kernel);
  set(fib, { "10.1.1.0/26": route("10.1.1.0/26") });
  await pass(100);
  table.clear();
  const link = { name: "x", up: true, running: true, mtu: 1500 };
  fib.onKernelEvents([{ kind: "link", op: "set", link: { ...link, ifindex: 40 } }]);
  await pass(100);
  assert.equal(table.size, 0);
  fib.onKernelEvents([{ kind: "link", op: "set", link: { ...link, ifindex: 2 } }]);
  await pass(100);
  assert.equal(table.size, 1);
});

test("Drift without an event is found after 90 seconds", async () => {
  const { kernel, table } = fakeRoutes();
  const { fib, pass } = await setUp(kernel);
  set(fib, { "10.1.1.0/26": route("10.1.1.0/26") });
  await pass(100);
  table.clear();
  await pass(91_000);
  assert.equal(table.size, 1);
});

const onTunnel = (destination: string) => ({ ...route(destination), ifindex: 9, onlink: true });

test("Protocol 12 on tunl0 belongs to felix", async () => {
  const { kernel, written } = fakeRoutes(onTunnel("10.3.1.0/26"));
  const { fib, converge, pass } = await setUp(kernel);
  set(fib, {});
  await pass(100);
  assert.deepEqual(written, [], "nor is it written anew");
  converge();
  await pass(100);
  assert.deepEqual(written, []);
});

test("Protocol 12 on tunl0 is ours while bgp programs IPIP: taken over, and removed when not wanted", async () => {
  const two = [onTunnel("10.3.1.0/26"), onTunnel("10.3.2.0/26")];
  const { kernel, written } = fakeRoutes(...two);
  const { fib, adopted, converge, pass } = await setUp(kernel, () => true, {
    ownsTunnel: () => true,
  });
  assert.equal(adopted, 2);
  set(fib, { "10.3.1.0/26": onTunnel("10.3.1.0/26") });
  await pass(100);
  assert.deepEqual(written, []);
  converge();
  await pass(100);
  assert.deepEqual(written, ["-10.3.2.0/26"]);
});

test("What others left on tunl0 is found when bgp begins to program IPIP", async () => {
  let owns = false;
  const { kernel, written, table } = fakeRoutes();
  const { fib, converge, pass } = await setUp(kernel, () => true, { ownsTunnel: () => owns });
  set(fib, {});
  converge();
  await pass(100);
  table.set(parsePrefix("10.3.2.0/26"), onTunnel("10.3.2.0/26"));
  owns = true;
  set(fib, { "10.3.1.0/26": onTunnel("10.3.1.0/26") });
  await pass(100);
  assert.deepEqual(written, ["+10.3.1.0/26", "-10.3.2.0/26"]);
});

const felixs = (destination: string) => ({ ...route(destination), protocol: 80, priority: 0 });

test("A route that felix is to have stays until felix's is there", async () => {
  const { kernel, written } = fakeRoutes();
  const { fib, pass } = await setUp(kernel);
  set(fib, { "10.1.1.0/26": route("10.1.1.0/26"), "10.1.2.0/26": route("10.1.2.0/26") });
  await pass(100);
  handOver(fib, "10.1.1.0/26", "10.1.2.0/26");
  await pass(5000);
  assert.equal(written.length, 2, "nothing is removed yet");
  fib.onKernelEvents([{ kind: "route", op: "set", route: felixs("10.1.2.0/26") }]);
  await pass(100);
  assert.deepEqual(written.slice(2), ["-10.1.2.0/26"]);
  await pass(30_000);
  assert.deepEqual(written.slice(3), ["-10.1.1.0/26"], "felix has not programmed it in time");
});

test("A route that felix has already goes at once; a route in felix's place is left alone", async () => {
  const { kernel, written, table } = fakeRoutes();
  const { fib, pass } = await setUp(kernel);
  set(fib, { "10.1.1.0/26": route("10.1.1.0/26") });
  await pass(100);
  // Of the same metric, as with IPv6: felix's replaces ours, and is not ours to repair.
  table.set(parsePrefix("10.1.1.0/26"), { ...felixs("10.1.1.0/26"), priority: 1024 });
  handOver(fib, "10.1.1.0/26");
  await pass(100);
  assert.deepEqual(written, ["+10.1.1.0/26", "-10.1.1.0/26"]);
});

test("A route that is given away while the kernel is looked at is looked for too", async () => {
  const { kernel, written, table } = fakeRoutes();
  const { fib, pass } = await setUp(kernel);
  const [first, second] = ["10.1.1.0/26", "10.1.2.0/26"];
  set(fib, { [first]: route(first), [second]: route(second) });
  await pass(100);
  const routes: Pick<RouteTable, "list"> = kernel.routes;
  const list = routes.list.bind(routes);
  routes.list = async (filter) => {
    const before = await list(filter);
    if (filter?.protocol === undefined && table.get(parsePrefix(second))?.protocol === 12) {
      table.set(parsePrefix(second), { ...felixs(second), priority: 1024 });
      handOver(fib, second);
    }
    return before;
  };
  handOver(fib, first);
  await pass(200);
  assert.deepEqual(written.slice(2), [`-${second}`]);
});

test("A hand-over that goes on does not keep the process from its end", async () => {
  const { kernel, written } = fakeRoutes();
  const { fib, clock, pass } = await setUp(kernel);
  set(fib, { "10.1.1.0/26": route("10.1.1.0/26") });
  await pass(100);
  handOver(fib, "10.1.1.0/26");
  await pass(100);
  stop.abort();
  await pass(100);
  handOver(fib, "10.1.1.0/26");
  assert.equal(clock.pendingTimers, 0);
  assert.deepEqual(written, ["+10.1.1.0/26"], "the kernel stays as it is");
});

test("Only felix's route in our table ends a hand-over, also where its event was lost", async () => {
  const { kernel, written, table } = fakeRoutes();
  const { fib, pass } = await setUp(kernel);
  const [first, second] = ["10.1.1.0/26", "10.1.2.0/26"];
  set(fib, { [first]: route(first), [second]: route(second) });
  await pass(100);
  handOver(fib, first, second);
  await pass(100);
  fib.onKernelEvents([{ kind: "route", op: "set", route: { ...felixs(first), table: 7 } }]);
  table.set(parsePrefix(second), { ...felixs(second), priority: 1024 });
  fib.onKernelEvents([{ kind: "lost" }]);
  await pass(100);
  assert.deepEqual(
    written.slice(2),
    [],
    "neither removed too early, nor put in the place of felix's",
  );
});

test("A pool that comes back to us keeps its route, one that is gone loses it", async () => {
  const { kernel, written } = fakeRoutes();
  const { fib, pass } = await setUp(kernel);
  const both = { "10.1.1.0/26": route("10.1.1.0/26"), "10.1.2.0/26": route("10.1.2.0/26") };
  set(fib, both);
  await pass(100);
  handOver(fib, "10.1.1.0/26", "10.1.2.0/26");
  fib.onKernelEvents([{ kind: "route", op: "set", route: felixs("10.1.1.0/26") }]);
  set(fib, { "10.1.1.0/26": route("10.1.1.0/26"), "10.1.2.0/26": undefined });
  await pass(40_000);
  assert.deepEqual(written.slice(2), ["-10.1.2.0/26"]);
});
