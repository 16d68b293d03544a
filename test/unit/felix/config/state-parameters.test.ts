import assert from "node:assert/strict";
import { test } from "node:test";
import type { AnyResource } from "../../../../src/api/resource-of-kind.ts";
import { felixConfig } from "../../../../src/felix/config/felix-config.ts";
import { RefreshTimers } from "../../../../src/felix/refresh-timers.ts";
import type { Millis } from "../../../../src/lib/clock.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";
import { block, node, pod, pool } from "../../../states/resources.ts";
import { FelixState } from "../../../support/felix-state.ts";

/** What each parameter does to routes, links and sets of a node with one pod and a VXLAN pool. */

const cluster: readonly AnyResource[] = [
  node("node-a", "192.168.1.11/24", { ipv4VXLANTunnelAddr: "10.0.0.8" }),
  node("node-b", "192.168.2.12/24", { ipv4VXLANTunnelAddr: "10.0.0.16" }),
  pool("vxlan", "10.0.0.0/16", { vxlanMode: "Always" }),
  pool("plain", "10.1.0.0/16"),
  block("10.0.0.8/29", "node-a", { 0: "node-a", 1: "node-a" }),
  block("10.0.0.16/29", "node-b", { 0: "node-b" }),
  block("10.1.0.0/29", "node-b", { 0: "node-b" }),
  pod("tst-a", { ip: "10.0.0.9/32", ipNetworks: ["10.0.0.9/32", "fd00::9/128"] }),
];

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
  ["programClusterRoutes", "Enabled", /^10\.1\.0\.0\/29 via 192\.168\.2\.12 dev eth0 proto 80 /m],
];

const byDefault = await routesOf({});

for (const [name, value, route] of routes) {
  test(`${name} ${value} is in the routes`, async () => {
    assert.doesNotMatch(byDefault, route);
    assert.match(await routesOf({ [name]: value }), route);
  });
}

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

const at = (ms: number) => ms as Millis;
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
