import { strict as assert } from "node:assert";
import { test } from "node:test";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { block, node, pool } from "../../../states/resources.ts";
import { FelixState } from "../../../support/felix-state.ts";

type Families = "both" | "IPv4" | "IPv6";

const addressesOf = (segment: number, host: number, families: Families) => ({
  ...(families === "IPv6" ? {} : { ipv4Address: `192.168.${segment}.${host}/24` }),
  ...(families === "IPv4" ? {} : { ipv6Address: `2001:db8:${segment}::${host}/64` }),
});

const member = (name: string, [segment, host]: readonly [number, number], families: Families) =>
  node(name, "", {
    bgp: addressesOf(segment, host, families),
    ipv6VXLANTunnelAddr: `fd00::${name.at(-1)}:1`,
  });

const annotated = (value: string) => {
  const { metadata, ...rest } = pool("v6", "fd00::/64");
  const annotations = { "tortie.dev/encapsulation": value };
  return { ...rest, metadata: { ...metadata, annotations } };
};

async function nodeOf(
  value: string | undefined,
  families: Families = "both",
  spec: Readonly<Record<string, unknown>> = {},
) {
  const state = new FelixState(spec, [
    member("node-a", [1, 11], families),
    member("node-b", [2, 12], families),
    member("node-c", [1, 13], families),
    value === undefined ? pool("v6", "fd00::/64") : annotated(value),
    ...["a", "b", "c"].map((name) => block(`fd00::${name}:0/122`, `node-${name}`, {})),
  ]);
  const { kernel } = state;
  const ifindex = kernel.addLink("eth0", { mtu: 1500 });
  for (const text of Object.values(addressesOf(1, 11, families))) {
    const [address = "", length] = text.split("/");
    await kernel.addresses.add({ ifindex, address: parseIpAddr(address), length: Number(length) });
  }
  await state.apply();
  return state;
}

async function device({ kernel }: FelixState, name: string) {
  const link = await kernel.links.get(name);
  if (link === undefined) return undefined;
  const addresses = await kernel.addresses.list({ ifindex: link.ifindex });
  return [
    link.type,
    link.up,
    link.mtu,
    ...addresses.map((each) => `${each.address}/${each.length}`),
  ];
}

test("IP6IP6 becomes the device, and routes that name both nodes' IPv6 addresses", async () => {
  const state = await nodeOf("IP6IP6");
  assert.deepEqual(await device(state, "ip6ip6.tortie"), ["ip6tnl", true, 1460, "fd00::a:1/128"]);
  assert.deepEqual(state.kernel.text(), [
    "blackhole fd00::a:0/122 proto 80 metric 1024",
    "fd00::b:0/122 encap ip6 src 2001:db8:1::11 dst 2001:db8:2::12 dev ip6ip6.tortie proto 80 metric 1024",
    "fd00::c:0/122 encap ip6 src 2001:db8:1::11 dst 2001:db8:1::13 dev ip6ip6.tortie proto 80 metric 1024",
  ]);
});

test("SIT becomes the device, and routes by the other nodes' IPv4 addresses, also of nodes without IPv6", async () => {
  const state = await nodeOf("SIT", "IPv4");
  assert.deepEqual(await device(state, "sit.tortie"), ["sit", true, 1480, "fd00::a:1/128"]);
  assert.equal((await state.kernel.links.get("sit.tortie"))?.sitLocal, "192.168.1.11");
  assert.deepEqual(state.kernel.text(), [
    "blackhole fd00::a:0/122 proto 80 metric 1024",
    "fd00::b:0/122 via ::192.168.2.12 dev sit.tortie proto 80 metric 1024 onlink",
    "fd00::c:0/122 via ::192.168.1.13 dev sit.tortie proto 80 metric 1024 onlink",
  ]);
});

for (const [value, device, families] of [
  ["IP6IP6CrossSubnet", "ip6ip6.tortie", "IPv6"],
  ["SITCrossSubnet", "sit.tortie", "both"],
] as const) {
  test(`${value} goes to nodes of the own subnet without the tunnel`, async () => {
    const { kernel } = await nodeOf(value, families);
    const [, toB, toC] = kernel.text();
    assert.match(toB ?? "", new RegExp(`^fd00::b:0/122 .*dev ${device}`));
    assert.match(toC ?? "", /^fd00::c:0\/122 via 2001:db8:1::13 dev eth0 proto 80/);
  });
}

test("outer packets are taken of nodes alone, by the family they have", async () => {
  const sit = await nodeOf("SIT");
  assert.match(sit.rules, /Allow SIT packets from Calico hosts/);
  assert.match(sit.rules, /cali-INPUT .*-p 41 .*cali40all-hosts-net src .*--jump ACCEPT/);
  assert.match(sit.rules, /cali-INPUT .*Drop SIT packets from non-Calico hosts" -p 41 --jump DROP/);
  assert.match(sit.rules, /--out-interface sit\.tortie/);
  const ip6ip6 = await nodeOf("IP6IP6");
  assert.match(ip6ip6.rules, /cali-INPUT .*-p 41 .*cali60all-hosts-net src .*--jump ACCEPT/);
  assert.doesNotMatch(ip6ip6.rules, /SIT|-p 41 .*cali40all-hosts-net/);
});

test("ip6TunnelMTU is the device's MTU, and what somebody changed is mended", async () => {
  const state = await nodeOf("IP6IP6", "both", { ip6TunnelMTU: 1400 });
  const { ifindex } = (await state.kernel.links.get("ip6ip6.tortie")) ?? { ifindex: 0 };
  await state.kernel.links.set(ifindex, { up: false, mtu: 1300 });
  state.dataplane.resync();
  await state.apply();
  assert.deepEqual((await device(state, "ip6ip6.tortie"))?.slice(0, 3), ["ip6tnl", true, 1400]);
});

test("a node that moves has a new SIT device, and a route of the others by its new address", async () => {
  const state = await nodeOf("SIT");
  const { kernel } = state;
  state.update(member("node-b", [2, 99], "both"), member("node-a", [1, 77], "both"));
  const ifindex = kernel.indexOf("eth0") ?? 0;
  await kernel.addresses.add({ ifindex, address: parseIpAddr("192.168.1.77"), length: 24 });
  state.dataplane.resync();
  await state.apply();
  assert.equal((await kernel.links.get("sit.tortie"))?.sitLocal, "192.168.1.77");
  assert.match(kernel.text().join("\n"), /fd00::b:0\/122 via ::192\.168\.2\.99 dev sit\.tortie/);
});

test("without such a pool the device, its routes and rules go", async () => {
  const state = await nodeOf("IP6IP6");
  state.rules = "";
  state.update(pool("v6", "fd00::/64"));
  await state.apply();
  assert.equal(await device(state, "ip6ip6.tortie"), undefined);
  assert.doesNotMatch(state.kernel.text().join("\n"), /ip6ip6/);
});

test("somebody's device of that name is neither used nor removed, and an error says so", async () => {
  const state = await nodeOf(undefined);
  state.kernel.addLink("sit.tortie", { type: "bridge", up: true, mtu: 1500 });
  state.dataplane.resync();
  state.update(annotated("SIT"));
  await assert.rejects(state.apply(), ({ errors }: AggregateError) => {
    assert.match(
      String(errors),
      /Cannot use sit\.tortie as a tunnel: it is a bridge link, not sit/,
    );
    return true;
  });
  state.update(pool("v6", "fd00::/64"));
  await state.apply();
  assert.equal((await device(state, "sit.tortie"))?.[0], "bridge");
});

test("it takes over from VXLAN, whose address it has: the device of VXLAN goes", async () => {
  const state = await nodeOf(undefined);
  state.update(pool("v6", "fd00::/64", { vxlanMode: "Always" }));
  await state.apply();
  assert.equal((await device(state, "vxlan-v6.calico"))?.[0], "vxlan");
  state.update(annotated("IP6IP6"));
  await state.apply();
  assert.equal(await device(state, "vxlan-v6.calico"), undefined);
  assert.deepEqual((await device(state, "ip6ip6.tortie"))?.slice(3), ["fd00::a:1/128"]);
});
