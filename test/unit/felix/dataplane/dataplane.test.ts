import assert from "node:assert/strict";
import { mock, test } from "node:test";
import type { ClusterRoute, DataplaneUpdate } from "../../../../src/felix/calc/updates.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";
import { block, node, pool } from "../../../states/resources.ts";
import { FelixState } from "../../../support/felix-state.ts";

/** What comes after the first apply, which does everything: each must reach the kernel by the next. */

async function applied() {
  const state = new FelixState({}, [
    node("node-a", "192.168.1.11/24"),
    node("node-b", "192.168.1.12/24"),
    pool("default", "10.0.0.0/16"),
  ]);
  const uplink = state.kernel.addLink("eth0");
  const address = { ifindex: uplink, address: parseIpAddr("192.168.1.11"), length: 24 };
  await state.kernel.addresses.add(address);
  for (const name of ["calia", "calib"]) state.kernel.addLink(name, { type: "veth" });
  await state.apply();
  state.rules = "";
  state.runs.length = 0;
  return { ...state, state, uplink, members: (set: string) => [...membersOf(state, set)] };
}

function membersOf(state: FelixState, set: string): ReadonlySet<string> {
  return state.sets.get(set)?.members ?? new Set();
}

const nothing = { tiers: [], profiles: [], allowedSourcePrefixes: [], floating: [] };
const podA: DataplaneUpdate = {
  op: "set",
  kind: "workloadEndpoint",
  id: "k8s/prod/a/eth0",
  value: {
    ...nothing,
    interfaceName: "calia",
    addresses: [parseIpAddr("10.0.0.1")],
    qos: { ingress: {}, egress: { bandwidth: { rate: 8e6, burst: 80_000 } }, dscp: 46 },
  },
};

test("a local pod's route is the only one to its address, whoever else is said to have it", async () => {
  const { state, kernel } = await applied();
  const destination = parsePrefix("10.0.0.1/32");
  const value: ClusterRoute = {
    destination,
    types: new Set(["remoteWorkload"]),
    poolClass: "vxlan",
    node: "node-b",
    nodeAddress: parseIpAddr("192.168.1.12"),
    sameSubnet: true,
    natOutgoing: false,
    localWorkload: false,
    borrowed: true,
  };
  state.dataplane.onUpdates([{ op: "set", kind: "route", id: destination, value }]);
  await state.apply();
  assert.match(kernel.text().join("\n"), /^10\.0\.0\.1\S* via 192\.168\.1\.12/m);
  state.dataplane.onUpdates([podA]);
  await state.apply();
  const routes = kernel.text().filter((line) => line.startsWith("10.0.0.1"));
  assert.equal(routes.length, 1);
  assert.match(routes[0] ?? "", /dev calia/);
});

test("a pod has its route, limits, code point and chains, and loses them", async () => {
  const { state, kernel, members } = await applied();
  state.dataplane.onUpdates([podA]);
  await state.apply();
  assert.match(kernel.text().join("\n"), /^10\.0\.0\.1 dev calia/m);
  assert.equal((await kernel.traffic.list()).redirects.size, 1);
  assert.deepEqual(members("cali40dscp-src-net"), ["10.0.0.1/32"]);
  assert.match(state.rules, /-A cali-egress-dscp .*--source 10\.0\.0\.1\S* .*--set-dscp 0x2e/);
  assert.match(state.rules, /^:cali-tw-calia /m);
  assert.equal(state.dataplane.isProgrammed(podA.id), true);
  state.dataplane.onUpdates([{ op: "remove", kind: "workloadEndpoint", id: podA.id }]);
  await state.apply();
  assert.doesNotMatch(kernel.text().join("\n"), /calia/);
  assert.deepEqual(members("cali40dscp-src-net"), []);
  const links = await kernel.links.list();
  assert.deepEqual(
    links.filter(({ type }) => type === "ifb"),
    [],
  );
});

test("routes, pools, nodes, services and host endpoints are told later, too", async () => {
  const { state, kernel, members } = await applied();
  const route: ClusterRoute = {
    destination: parsePrefix("10.0.1.0/26"),
    types: new Set(["remoteWorkload"]),
    poolClass: "vxlan",
    node: "node-b",
    nodeAddress: parseIpAddr("192.168.1.12"),
    sameSubnet: true,
    natOutgoing: false,
    localWorkload: false,
    borrowed: false,
  };
  const noEncap = { natOutgoing: true, poolClass: "noEncap", crossSubnet: false } as const;
  const hep = { ...nothing, untrackedTiers: [], preDnatTiers: [], forwardTiers: [] };
  const updates: readonly (readonly [DataplaneUpdate, () => boolean])[] = [
    [
      {
        op: "set",
        kind: "pool",
        id: "p2",
        value: { cidr: parsePrefix("10.1.0.0/16"), ...noEncap },
      },
      () => members("cali40network-ip-pools").includes("10.1.0.0/16"),
    ],
    [
      {
        op: "set",
        kind: "host",
        id: "node-c",
        value: { v4: { address: parseIpAddr("192.168.1.13"), length: 24 } },
      },
      () => members("cali40all-hosts-net").includes("192.168.1.13/32"),
    ],
    [
      { op: "set", kind: "serviceCidrs", id: "default", value: [parsePrefix("10.96.0.0/12")] },
      () => /-A cali-cidr-block .*10\.96\.0\.0\/12/.test(state.rules),
    ],
    [
      {
        op: "set",
        kind: "hostEndpoint",
        id: "up",
        value: { ...hep, interfaceName: "eth0", expectedAddresses: [] },
      },
      () => /^:cali-fh-eth0 /m.test(state.rules),
    ],
    [
      {
        op: "set",
        kind: "hostEndpoint",
        id: "up",
        value: { ...hep, interfaceName: "eth0", expectedAddresses: [], profiles: ["kns.up"] },
      },
      () => state.rules.includes("--jump cali-pri-kns.up"),
    ],
    [
      { op: "set", kind: "route", id: "10.0.1.0/26", value: route },
      () => kernel.text().join("\n").includes("10.0.1.0/26"),
    ],
  ];
  for (const [update, isThere] of updates) {
    assert.equal(isThere(), false, `${update.kind} before`);
    state.dataplane.onUpdates([update]);
    await state.apply();
    assert.equal(isThere(), true, update.kind);
  }
});

test("an address that the host gets or loses changes the set of its own", async () => {
  const { state, kernel, uplink, members } = await applied();
  const address = { ifindex: uplink, address: parseIpAddr("192.168.1.77"), length: 32 };
  const event = (op: "set" | "removed") =>
    state.dataplane.onKernelEvents([
      { kind: "address", op, address: { ...address, scope: "universe" } },
    ]);
  await kernel.addresses.add(address);
  assert.equal(event("set"), true);
  await state.apply();
  assert.ok(members("cali40this-host").includes("192.168.1.77"));
  assert.equal(event("set"), false, "it is known");
  await kernel.addresses.remove(address);
  assert.equal(event("removed"), true);
  await state.apply();
  assert.ok(!members("cali40this-host").includes("192.168.1.77"));
});

test("what failed is done by the next apply, though nothing new is told", async () => {
  const { state, kernel } = await applied();
  kernel.failNext("routes", 5);
  state.dataplane.onUpdates([podA]);
  await assert.rejects(state.apply());
  assert.equal(state.dataplane.isProgrammed(podA.id), false);
  await state.apply();
  assert.equal(state.dataplane.isProgrammed(podA.id), true);
  assert.match(kernel.text().join("\n"), /^10\.0\.0\.1 dev calia/m);
});

test("a policy alone makes nobody look at links and routes", async () => {
  const { state, kernel } = await applied();
  const listed = kernel.addresses.list;
  let lists = 0;
  Object.assign(kernel.addresses, {
    list: (...given: Parameters<typeof listed>) => {
      lists++;
      return listed(...given);
    },
  });
  state.dataplane.onUpdates([{ op: "remove", kind: "policy", id: "gnp/x" }]);
  await state.apply();
  assert.equal(lists, 0);
});

const podC: DataplaneUpdate = {
  op: "set",
  kind: "workloadEndpoint",
  id: "k8s/prod/c/eth0",
  value: { ...nothing, interfaceName: "calic", addresses: [parseIpAddr("10.0.0.3")] },
};

test("an interface that comes while programs write its pod's rules is done by the same apply", async () => {
  const { state, kernel } = await applied();
  state.dataplane.onUpdates([podC]);
  const others = Promise.withResolvers<void>();
  let comes = async () => {
    // As soon as there is nothing left to do but to wait for the programs.
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    kernel.addLink("calic", { type: "veth" });
    const link = await kernel.links.get("calic");
    assert.ok(link);
    assert.equal(state.dataplane.onKernelEvents([{ kind: "link", op: "set", link }]), true);
    others.resolve();
  };
  state.whileRunning = () => {
    const come = comes;
    comes = () => others.promise;
    return come();
  };
  await state.apply();
  assert.equal(state.dataplane.isProgrammed(podC.id), true);
  assert.match(kernel.text().join("\n"), /^10\.0\.0\.3 dev calic/m);
});

test("what comes for a tunnel while programs write rules is done by the next apply", async () => {
  const { state, kernel, uplink } = await applied();
  state.update(
    pool("default", "10.0.0.0/16", { vxlanMode: "Always" }),
    tunnelNode("node-a", 11, "10.0.0.1"),
  );
  await state.apply();
  const mtu = async () => (await kernel.links.get("vxlan.calico"))?.mtu;
  const before = (await mtu()) ?? 0;
  state.dataplane.onUpdates([podA]);
  let shrink = async () => {
    shrink = async () => undefined;
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    const link = await kernel.links.get("eth0");
    assert.ok(link);
    await kernel.links.set(uplink, { mtu: link.mtu - 100 });
    const event = { kind: "link", op: "set", link: { ...link, mtu: link.mtu - 100 } } as const;
    assert.equal(state.dataplane.onKernelEvents([event]), true);
  };
  state.whileRunning = () => shrink();
  await state.apply();
  await state.apply();
  assert.equal(await mtu(), before - 100);
});

test("addresses are listed again when the host's changed, not for a pod's interface", async () => {
  const { state, kernel, uplink } = await applied();
  const lists = mock.method(kernel.addresses, "list");
  state.dataplane.onUpdates([podA]);
  await state.apply();
  const calia = await kernel.links.get("calia");
  const event = (ifindex: number, text: string) => {
    const address = { ifindex, address: parseIpAddr(text), length: 64, scope: "link" } as const;
    state.dataplane.onKernelEvents([{ kind: "address", op: "set", address }]);
    state.dataplane.onUpdates([podA]);
    return state.apply();
  };
  await event(calia?.ifindex ?? 0, "fe80::1");
  assert.equal(lists.mock.callCount(), 0);
  await event(uplink, "fe80::2");
  assert.equal(lists.mock.callCount(), 1);
  state.dataplane.resync();
  await state.apply();
  assert.equal(lists.mock.callCount(), 2);
});

test("the address of a pod's interface that is gone is not one of the host", async () => {
  const { state, kernel, members } = await applied();
  const link = await kernel.links.get("calia");
  assert.ok(link);
  await kernel.addresses.add({
    ifindex: link.ifindex,
    address: parseIpAddr("fe80::1"),
    length: 64,
  });
  state.dataplane.resync();
  state.dataplane.onUpdates([podA]);
  await state.apply();
  await kernel.links.remove(link.ifindex);
  const address = { ifindex: link.ifindex, address: parseIpAddr("fe80::1"), length: 64 };
  state.dataplane.onKernelEvents([
    { kind: "address", op: "removed", address: { ...address, scope: "link" } },
    { kind: "link", op: "removed", link },
  ]);
  await state.apply();
  assert.deepEqual(members("cali60this-host"), []);
});

/** A node with an address in the VXLAN, or without. */
function tunnelNode(name: string, number: number, tunnelAddress?: string) {
  const address = `192.168.1.${number}/24`;
  return node(
    name,
    address,
    tunnelAddress === undefined ? {} : { ipv4VXLANTunnelAddr: tunnelAddress },
  );
}

test("a pool that needs no tunnel any more: first the others' routes, last the device goes", async () => {
  const { state, kernel } = await applied();
  const vxlan = async () => (await kernel.links.get("vxlan.calico")) !== undefined;
  const blockRoutes = () => kernel.text().filter((line) => line.startsWith("10.0.0.16/29"));
  state.update(
    pool("default", "10.0.0.0/16", { vxlanMode: "Always" }),
    tunnelNode("node-a", 11, "10.0.0.1"),
    tunnelNode("node-b", 12, "10.0.0.16"),
    block("10.0.0.16/29", "node-b"),
  );
  await state.apply();
  const tunneled = ["10.0.0.16/29 via 10.0.0.16 dev vxlan.calico onlink"];
  assert.deepEqual([await vxlan(), blockRoutes()], [true, tunneled]);

  state.update(pool("default", "10.0.0.0/16", { vxlanMode: "Never" }));
  await state.apply();
  assert.deepEqual([await vxlan(), blockRoutes()], [true, tunneled], "bgp has no route yet");
  const direct = {
    table: 254,
    destination: parsePrefix("10.0.0.16/29"),
    priority: 1024,
    kind: "unicast",
    scope: "universe",
    protocol: 12,
    gateway: parseIpAddr("192.168.1.12"),
  } as const;
  await kernel.routes.replace([direct]);
  assert.equal(state.dataplane.onKernelEvents([{ kind: "route", op: "set", route: direct }]), true);
  await state.apply();
  assert.deepEqual([await vxlan(), blockRoutes().length], [true, 1], "others may still send");
  state.update(tunnelNode("node-a", 11));
  await state.apply();
  assert.equal(await vxlan(), false, "the node has given its address back");
});

test("a pool's new tunnel is used as soon as the other end is known, and not before", async () => {
  const { state, kernel } = await applied();
  const blockRoutes = () => kernel.text().filter((line) => line.startsWith("10.0.0.16/29"));
  state.update(
    pool("default", "10.0.0.0/16", { ipipMode: "Always" }),
    node("node-a", "192.168.1.11/24", {
      bgp: { ipv4Address: "192.168.1.11/24", ipv4IPIPTunnelAddr: "10.0.0.2" },
      ipv4VXLANTunnelAddr: "10.0.0.1",
    }),
    block("10.0.0.16/29", "node-b"),
  );
  await state.apply();
  const before = ["10.0.0.16/29 via 192.168.1.12 dev tunl0 proto 80 onlink"];
  assert.deepEqual(blockRoutes(), before);
  state.update(pool("default", "10.0.0.0/16", { vxlanMode: "Always" }));
  await state.apply();
  assert.deepEqual(blockRoutes(), before, "the other node has no address in the VXLAN");
  state.update(tunnelNode("node-b", 12, "10.0.0.16"));
  await state.apply();
  const after = ["10.0.0.16/29 via 10.0.0.16 dev vxlan.calico onlink"];
  assert.deepEqual(blockRoutes(), after);
});
