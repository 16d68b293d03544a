import assert from "node:assert/strict";
import { test } from "node:test";
import { calicoApiVersion } from "../../../../src/api/meta.ts";
import type { AnyResource } from "../../../../src/api/resource-of-kind.ts";
import { felixConfig } from "../../../../src/felix/config/felix-config.ts";
import { hostSysctls } from "../../../../src/felix/dataplane/host-sysctls.ts";
import { RefreshTimers } from "../../../../src/felix/refresh-timers.ts";
import type { IptablesTable } from "../../../../src/kernel/iptables/tables.ts";
import { watchTables } from "../../../../src/kernel/iptables/watch-tables.ts";
import type { Millis } from "../../../../src/lib/clock.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";
import { block, hostEndpoint, node, pod, pool } from "../../../states/resources.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { FelixState } from "../../../support/felix-state.ts";

/** What each parameter does to routes, links and sets of a node with one pod and a VXLAN pool. */

const cluster: readonly AnyResource[] = [
  node("node-a", "192.168.1.11/24", {
    ipv4VXLANTunnelAddr: "10.0.0.8",
    ipv6VXLANTunnelAddr: "fd00:1::8",
    bgp: { ipv4Address: "192.168.1.11/24", ipv6Address: "2001:db8::11/64" },
  }),
  node("node-b", "192.168.2.12/24", { ipv4VXLANTunnelAddr: "10.0.0.16" }),
  pool("vxlan", "10.0.0.0/16", { vxlanMode: "Always" }),
  {
    apiVersion: calicoApiVersion,
    kind: "BGPConfiguration",
    metadata: { name: "default" },
    spec: {
      serviceClusterIPs: [{ cidr: "10.96.0.0/12" }, { cidr: "fd00:96::/112" }],
      serviceLoadBalancerIPs: [{ cidr: "203.0.113.0/24" }],
    },
  },
  pool("v6", "fd00:1::/48", { vxlanMode: "Always" }),
  pool("plain", "10.1.0.0/16"),
  block("10.0.0.8/29", "node-a", { 0: "node-a", 1: "node-a" }),
  block("10.0.0.16/29", "node-b", { 0: "node-b" }),
  block("10.1.0.0/29", "node-b", { 0: "node-b" }),
  pod("b", { node: "node-b", ip: "10.0.0.18/32" }),
  hostEndpoint("virtual", { node: "node-a", expectedIPs: ["203.0.113.7"] }),
  pod("tst-a", { ip: "10.0.0.9/32", ipNetworks: ["10.0.0.9/32", "fd00::9/128"] }),
];

const features = { snatFullyRandom: true, masqFullyRandom: true, restoreWait: true };

async function stateOf(
  spec: Readonly<Record<string, unknown>>,
  prepare: (state: FelixState) => Promise<void> = async () => undefined,
): Promise<FelixState> {
  const state = new FelixState(spec, cluster);
  const uplink = state.kernel.addLink("eth0", { mtu: 1500 });
  state.kernel.addLink("calitst-a", { type: "veth" });
  await state.kernel.addresses.add({
    ifindex: uplink,
    address: parseIpAddr("192.168.1.11"),
    length: 24,
  });
  await state.kernel.addresses.add({
    ifindex: uplink,
    address: parseIpAddr("2001:db8::11"),
    length: 64,
  });
  await prepare(state);
  await state.apply();
  return state;
}

const routesOf = async (spec: Readonly<Record<string, unknown>>) =>
  (await stateOf(spec)).kernel.text().join("\n");

const routes: readonly (readonly [name: string, value: unknown, route: RegExp])[] = [
  ["deviceRouteProtocol", 99, /^10\.0\.0\.9 dev calitst-a proto 99 /m],
  ["ipv4NormalRoutePriority", 77, /^10\.0\.0\.9 .* metric 77$/m],
  ["ipv6NormalRoutePriority", 78, /^fd00::9 .* metric 78$/m],
  ["deviceRouteSourceAddress", "192.168.1.11", /^10\.0\.0\.9 .* src 192\.168\.1\.11 /m],
  ["deviceRouteSourceAddressIPv6", "fd00::1", /^fd00::9 .* src fd00::1 /m],
  ["routeSource", "WorkloadIPs", /^10\.0\.0\.18 via 10\.0\.0\.16 dev vxlan\.calico onlink$/m],
  ["programClusterRoutes", "Enabled", /^10\.1\.0\.0\/29 via 192\.168\.2\.12 dev eth0 proto 80 /m],
];

const byDefault = await routesOf({});

for (const [name, value, route] of routes) {
  test(`${name} ${value} is in the routes`, async () => {
    assert.doesNotMatch(byDefault, route);
    assert.match(await routesOf({ [name]: value }), route);
  });
}

test("routeSyncDisabled leaves all routes as they are", async () => {
  const state = await stateOf({ routeSyncDisabled: true }, async ({ kernel }) => {
    const destination = parsePrefix("10.9.0.0/16");
    const blackhole = { kind: "blackhole", scope: "universe", protocol: 80 } as const;
    await kernel.routes.replace([{ table: 254, destination, priority: 0, ...blackhole }]);
  });
  assert.deepEqual(state.kernel.text(), ["blackhole 10.9.0.0/16 proto 80"]);
  const [route] = await state.kernel.routes.list();
  assert.ok(route !== undefined);
  assert.equal(state.dataplane.onKernelEvents([{ kind: "route", op: "set", route }]), false);
});

test("interfaceExclude: a host endpoint is not found by an address of such an interface", async () => {
  const rulesOf = async (spec: Readonly<Record<string, unknown>>, name: string) => {
    const state = await stateOf(spec, async ({ kernel }) => {
      const address = parseIpAddr("203.0.113.7");
      await kernel.addresses.add({ ifindex: kernel.addLink(name), address, length: 32 });
    });
    return state.rules;
  };
  assert.match(await rulesOf({}, "dummy0"), /cali-fh-dummy0/);
  assert.doesNotMatch(await rulesOf({}, "kube-ipvs0"), /cali-fh-kube-ipvs0/);
  const spec = { interfaceExclude: "veth1,/^dum/" };
  assert.doesNotMatch(await rulesOf(spec, "dummy0"), /cali-fh-dummy0/);
  assert.match(await rulesOf(spec, "kube-ipvs0"), /cali-fh-kube-ipvs0/);
});

test("externalNodesList and maxIpsetSize are in the sets", async () => {
  const all = (state: FelixState) => [...(state.sets.get("cali40all-vxlan-net")?.members ?? [])];
  const sizes = (state: FelixState) =>
    new Set([...state.sets.values()].map(({ maxElements }) => maxElements));
  const plain = await stateOf({});
  assert.deepEqual(all(plain), ["192.168.1.11/32", "192.168.2.12/32"]);
  assert.deepEqual([...sizes(plain)], [1048576]);
  const state = await stateOf({ externalNodesList: ["198.51.100.0/24"], maxIpsetSize: 99 });
  assert.deepEqual(all(state), ["192.168.1.11/32", "192.168.2.12/32", "198.51.100.0/24"]);
  assert.deepEqual([...sizes(state)], [99]);
});

test("serviceLoopPrevention: what is for a service's address and no service took goes nowhere", async () => {
  const rulesOf = async (spec: Readonly<Record<string, unknown>>) => (await stateOf(spec)).rules;
  const rule = (verdict: string) =>
    new RegExp(`-A cali-cidr-block .*10\\.96\\.0\\.0/12 --jump ${verdict}`);
  assert.match(await rulesOf({}), rule("DROP"));
  assert.match(await rulesOf({}), /-A cali-cidr-block .*203\.0\.113\.0\/24 --jump DROP/);
  assert.match(await rulesOf({}), /-A cali-cidr-block .*fd00:96::\/112 --jump DROP/);
  assert.match(await rulesOf({ serviceLoopPrevention: "Reject" }), rule("REJECT"));
  assert.doesNotMatch(await rulesOf({ serviceLoopPrevention: "Disabled" }), rule(""));
});

test("ipForwarding Disabled leaves the host's forwarding alone", () => {
  const pathsOf = (spec: Readonly<Record<string, unknown>>) =>
    hostSysctls(felixConfig({ global: spec, env: {} })).map(([path]) => path.join("."));
  const [v4, v6] = ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"];
  assert.deepEqual(pathsOf({}), [v4, v6]);
  assert.deepEqual(pathsOf({ ipv6Support: false }), [v4]);
  assert.deepEqual(pathsOf({ ipForwarding: "Disabled" }), []);
});

test("iptablesLockProbeInterval is what iptables-restore waits between two looks", async () => {
  const waits = (state: FelixState) => state.runs.filter((run) => run.includes("--wait-interval"));
  assert.match(waits(await stateOf({}))[0] ?? "", /--wait-interval 50000$/);
  const state = await stateOf({ iptablesLockProbeInterval: "7ms" });
  assert.match(waits(state)[0] ?? "", /--wait-interval 7000$/);
});

test("removeExternalRoutes false leaves what others put on pods' interfaces", async () => {
  const withForeign = async (spec: Readonly<Record<string, unknown>>) => {
    const state = await stateOf(spec);
    state.clock.advance(10_000);
    const ifindex = (await state.kernel.links.get("calitst-a"))?.ifindex ?? 0;
    const foreign = { table: 254, priority: 0, kind: "unicast", scope: "link" } as const;
    const destination = parsePrefix("203.0.113.0/24");
    await state.kernel.routes.replace([{ ...foreign, destination, protocol: 4, ifindex }]);
    state.dataplane.resync();
    await state.apply();
    return state.kernel.text().join("\n");
  };
  assert.doesNotMatch(await withForeign({}), /203\.0\.113/);
  assert.match(await withForeign({ removeExternalRoutes: false }), /203\.0\.113/);
});

test("vxlanVNI, vxlanPort and vxlanMTU are the device's", async () => {
  const linkOf = async (spec: Readonly<Record<string, unknown>>) => {
    const { kernel } = await stateOf(spec);
    const { mtu, vxlan } = (await kernel.links.get("vxlan.calico")) ?? {};
    return { mtu, vni: vxlan?.vni, port: vxlan?.port };
  };
  assert.deepEqual(await linkOf({}), { mtu: 1450, vni: 4096, port: 4789 });
  const spec = { vxlanVNI: 5, vxlanPort: 4790, vxlanMTU: 1300 };
  assert.deepEqual(await linkOf(spec), { mtu: 1300, vni: 5, port: 4790 });
});

test("ipv6Support false leaves IPv6 alone", async () => {
  const with6 = await stateOf({});
  const without = await stateOf({ ipv6Support: false });
  assert.match(with6.kernel.text().join("\n"), /fd00::9/);
  assert.ok(with6.runs.some((run) => run.startsWith("ip6tables")));
  assert.doesNotMatch(without.kernel.text().join("\n"), /fd00::9/);
  assert.ok(without.runs.every((run) => !run.startsWith("ip6tables")));
});

/** When, in seconds, legacy tables are looked at that are written to at these times. */
async function looksOf(
  spec: Readonly<Record<string, unknown>>,
  { seconds, writtenAt = [] }: { readonly seconds: number; readonly writtenAt?: readonly number[] },
): Promise<readonly number[]> {
  const { iptablesPoll } = felixConfig({ global: spec, env: {} });
  const clock = new FakeClock();
  const looks: number[] = [];
  const table = {
    dirty: false,
    get writes() {
      return writtenAt.filter((second) => second * 1000 <= clock.now()).length;
    },
    check: async () => {
      looks.push(clock.now() / 1000);
      return true;
    },
  };
  const stop = new AbortController();
  const watching = watchTables(
    [table as unknown as IptablesTable],
    {
      backend: { kind: "legacy", variant: "-legacy", version: "1.8.9", features },
      clock,
      poll: iptablesPoll.legacy,
      onStale: () => undefined,
      onError: (error) => assert.fail(String(error)),
    },
    stop.signal,
  );
  await clock.advanceSlowly(seconds * 1000, 1000);
  stop.abort();
  await watching;
  return looks;
}

test("iptablesPostWriteCheckInterval: legacy tables are looked at after a write, ever later", async () => {
  assert.deepEqual(await looksOf({}, { seconds: 100 }), [5, 10, 20, 40, 80]);
  const writtenAt = [42];
  assert.deepEqual(await looksOf({}, { seconds: 70, writtenAt }), [5, 10, 20, 40, 45, 50, 60]);
  const seven = { iptablesPostWriteCheckInterval: "7s" };
  assert.deepEqual(await looksOf(seven, { seconds: 30 }), [7, 14, 28]);
});

test("iptablesPostWriteCheckInterval 0: legacy tables are looked at each iptablesRefreshInterval", async () => {
  const off = { iptablesPostWriteCheckInterval: "0s" };
  assert.deepEqual(await looksOf(off, { seconds: 600 }), [180, 360, 540]);
  assert.deepEqual(await looksOf({ ...off, iptablesRefreshInterval: "0s" }, { seconds: 600 }), []);
});

const at = (ms: number) => ms as Millis;
test("vxlanEnabled decides whatever pools say, and vxlanMTUV6 is the IPv6 device's", async () => {
  const linkOf = async (spec: Readonly<Record<string, unknown>>, name: string) =>
    (await stateOf(spec)).kernel.links.get(name);
  assert.equal(await linkOf({ vxlanEnabled: false }, "vxlan.calico"), undefined);
  assert.equal((await linkOf({}, "vxlan-v6.calico"))?.mtu, 1430);
  assert.equal((await linkOf({ vxlanMTUV6: 1310 }, "vxlan-v6.calico"))?.mtu, 1310);
});

const refreshed = [
  ["routeRefreshInterval", "routes", "routes"],
  ["ipsetsRefreshInterval", "ipSets", "ipset list"],
  ["iptablesRefreshInterval", "iptables", "iptables-nft-save"],
  ["interfaceRefreshInterval", "interfaces", "links"],
] as const;

for (const [name, what, listed] of refreshed) {
  test(`${name} is how often ${what} are compared with the kernel, and no others`, async () => {
    const off = Object.fromEntries(refreshed.map(([other]) => [other, "0"]));
    const { refreshMs } = felixConfig({ global: { ...off, [name]: "7s" }, env: {} });
    const timers = new RefreshTimers(refreshMs);
    assert.equal(timers.shortest, 7000);
    assert.deepEqual([...timers.due(at(0))], []);
    assert.deepEqual([...timers.due(at(6999))], []);
    assert.deepEqual([...timers.due(at(7000))], [what]);
    assert.deepEqual([...timers.due(at(13_999))], []);
    assert.deepEqual([...timers.due(at(14_000))], [what]);
    const seen: string[] = [];
    const state = await stateOf({});
    const { routes, links } = state.kernel;
    const list = { routes: routes.list, links: links.list };
    routes.list = (filter) => {
      seen.push("routes");
      return list.routes(filter);
    };
    links.list = () => {
      seen.push("links");
      return list.links();
    };
    state.runs.length = 0;
    state.dataplane.resync(timers.due(at(21_000)));
    await state.apply();
    for (const run of state.runs) {
      if (/^(ipset list|ip6?tables-nft-save)/.test(run))
        seen.push(run.replace(/^ip6/, "ip").replace(/ -.*/, ""));
    }
    assert.deepEqual([...new Set(seen)], [listed]);
  });
}
