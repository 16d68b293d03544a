import { strict as assert } from "node:assert";
import { test } from "node:test";
import { tunnelMac } from "../../../../src/kernel/tap/tunnel-mac.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { block, node, pool } from "../../../states/resources.ts";
import { FelixState } from "../../../support/felix-state.ts";

const annotated = (value: string) => {
  const { metadata, ...rest } = pool("default", "10.0.0.0/16");
  const annotations = { "tortie.dev/encapsulation": value };
  return { ...rest, metadata: { ...metadata, annotations } };
};

async function nodeOf(value: string, spec: Readonly<Record<string, unknown>> = {}) {
  const state = new FelixState(spec, [
    node("node-a", "192.168.1.11/24", { ipv4VXLANTunnelAddr: "10.0.0.1" }),
    node("node-b", "192.168.2.12/24", { ipv4VXLANTunnelAddr: "10.0.0.9" }),
    node("node-c", "192.168.1.13/24", { ipv4VXLANTunnelAddr: "10.0.0.17" }),
    annotated(value),
    block("10.0.0.0/29", "node-a", {}),
    block("10.0.0.8/29", "node-b", {}),
    block("10.0.0.16/29", "node-c", {}),
  ]);
  const { kernel } = state;
  const ifindex = kernel.addLink("eth0", { mtu: 1500 });
  await kernel.addresses.add({ ifindex, address: parseIpAddr("192.168.1.11"), length: 24 });
  await state.apply();
  return state;
}

async function shown({ kernel }: FelixState) {
  const link = await kernel.links.get("udp.tortie");
  if (link === undefined) return undefined;
  const { ifindex, type, up, mtu, mac } = link;
  const addresses = await kernel.addresses.list({ ifindex });
  const neighbors = await kernel.neighbors.list({ ifindex });
  return {
    device: [type, up, mtu, mac, ...addresses.map(({ address }) => address)],
    neighbors: neighbors.map((each) => `${each.address} ${each.mac}`).sort(),
  };
}

test("a pool's UDP becomes the device, routes by the other nodes' ends, neighbors that name nodes, and rules", async () => {
  const state = await nodeOf("UDP");
  assert.deepEqual(await shown(state), {
    device: ["tun", true, 1472, "02:85:c0:a8:01:0b", "10.0.0.1"],
    neighbors: ["10.0.0.17 02:85:c0:a8:01:0d", "10.0.0.9 02:85:c0:a8:02:0c"],
  });
  assert.deepEqual(state.kernel.text(), [
    "10.0.0.16/29 via 10.0.0.17 dev udp.tortie onlink",
    "10.0.0.8/29 via 10.0.0.9 dev udp.tortie onlink",
    "blackhole 10.0.0.0/29 proto 80",
  ]);
  assert.match(state.rules, /cali-INPUT .*Drop IPv4 UDP tunnel packets from non-allowed hosts/);
  assert.match(state.rules, /cali-PREROUTING .*8285.*NOTRACK/);
  assert.match(state.rules, /--out-interface udp\.tortie/);
});

test("UDPCrossSubnet goes to nodes of the own subnet without the tunnel", async () => {
  const { kernel } = await nodeOf("UDPCrossSubnet");
  assert.deepEqual(kernel.text(), [
    "10.0.0.16/29 via 192.168.1.13 dev eth0 proto 80 onlink",
    "10.0.0.8/29 via 10.0.0.9 dev udp.tortie onlink",
    "blackhole 10.0.0.0/29 proto 80",
  ]);
});

test("udpMTU and udpPort are the device's and the rules'", async () => {
  const state = await nodeOf("UDP", { udpMTU: 1400, udpPort: 9000 });
  assert.equal((await shown(state))?.device[2], 1400);
  assert.match(state.rules, /9000.*NOTRACK/);
  assert.doesNotMatch(state.rules, /8285/);
});

test("the device's MTU is not larger than what the tunnel carries", async () => {
  const state = await nodeOf("UDP", { udpMTU: 65_000 });
  assert.equal((await shown(state))?.device[2], 9216);
});

test("a node that moves is another neighbor, and one that is gone is none", async () => {
  const state = await nodeOf("UDP");
  state.update(node("node-b", "192.168.2.99/24", { ipv4VXLANTunnelAddr: "10.0.0.9" }));
  await state.apply();
  assert.equal((await shown(state))?.neighbors.includes("10.0.0.9 02:85:c0:a8:02:63"), true);
  state.update(node("node-b", "192.168.2.99/24", {}));
  await state.apply();
  assert.deepEqual((await shown(state))?.neighbors, ["10.0.0.17 02:85:c0:a8:01:0d"]);
});

test("without such a pool the device, its routes and rules go; somebody's device of that name stays", async () => {
  const state = await nodeOf("UDP");
  state.update(pool("default", "10.0.0.0/16", { vxlanMode: "Always" }));
  await state.apply();
  assert.equal(await shown(state), undefined);
  assert.doesNotMatch(state.kernel.text().join("\n"), /udp/);
  state.kernel.addLink("udp.tortie", { type: "bridge", up: true, mtu: 1500 });
  state.dataplane.resync();
  await state.apply();
  assert.equal((await state.kernel.links.get("udp.tortie"))?.type, "bridge");
});

test("a device that somebody else made is not used, and an error says so", async () => {
  const state = await nodeOf("UDP");
  state.update(pool("default", "10.0.0.0/16"));
  await state.apply();
  state.kernel.addLink("udp.tortie", { type: "bridge", up: true, mtu: 1500 });
  state.dataplane.resync();
  state.update(annotated("UDP"));
  await assert.rejects(state.apply(), ({ errors }: AggregateError) => {
    assert.match(
      String(errors),
      /Cannot use udp\.tortie as a tunnel: it is a bridge link, not tun/,
    );
    return true;
  });
  const link = await state.kernel.links.get("udp.tortie");
  assert.deepEqual([link?.type, link?.mtu, link?.mac], ["bridge", 1500, undefined]);
});

/** Pods of IPv6, and nodes with these addresses on segments 1 and 2. */
async function nodeOfV6(value: string, addresses: (segment: number, host: number) => object) {
  const member = (name: string, [segment, host]: readonly [number, number]) =>
    node(name, "", {
      bgp: addresses(segment, host),
      ipv6VXLANTunnelAddr: `fd00::${name.at(-1)}:1`,
    });
  const { metadata, ...rest } = pool("v6", "fd00::/64");
  const annotations = { "tortie.dev/encapsulation": value };
  const state = new FelixState({}, [
    member("node-a", [1, 11]),
    member("node-b", [2, 12]),
    { ...rest, metadata: { ...metadata, annotations } },
    ...["a", "b"].map((name) => block(`fd00::${name}:0/122`, `node-${name}`, {})),
  ]);
  const { kernel } = state;
  const ifindex = kernel.addLink("eth0", { mtu: 1500 });
  for (const text of Object.values(addresses(1, 11))) {
    const [address, length] = text.split("/");
    await kernel.addresses.add({ ifindex, address: parseIpAddr(address), length: Number(length) });
  }
  await state.apply();
  return state;
}

test("pods' IPv6 goes in packets of IPv4 where nodes have it", async () => {
  const state = await nodeOfV6("UDP", (segment, host) => ({
    ipv4Address: `192.168.${segment}.${host}/24`,
  }));
  assert.deepEqual(await shown(state), {
    device: ["tun", true, 1472, "02:85:c0:a8:01:0b", "fd00::a:1"],
    neighbors: ["fd00::b:1 02:85:c0:a8:02:0c"],
  });
  assert.deepEqual(state.kernel.text(), [
    "blackhole fd00::a:0/122 proto 80 metric 1024",
    "fd00::b:0/122 via fd00::b:1 dev udp.tortie metric 1024 onlink",
  ]);
  assert.match(state.rules, /Drop IPv4 UDP tunnel packets from non-allowed hosts/);
});

test("without IPv4 it goes in packets of IPv6: nodes are neighbors, too, as their MAC addresses are hashes", async () => {
  const state = await nodeOfV6("UDP", (segment, host) => ({
    ipv6Address: `2001:db8:${segment}::${host}/64`,
  }));
  const [own, other] = ["2001:db8:1::11", "2001:db8:2::12"].map((text) =>
    tunnelMac(parseIpAddr(text)),
  );
  assert.deepEqual(await shown(state), {
    device: ["tun", true, 1452, own, "fd00::a:1"],
    neighbors: [`2001:db8:2::12 ${other}`, `fd00::b:1 ${other}`],
  });
  assert.match(state.rules, /Drop IPv6 UDP tunnel packets from non-allowed hosts/);
  assert.doesNotMatch(state.rules, /IPv4 UDP tunnel/);
});

test("pools of both families share the device; an address that somebody takes away is put back", async () => {
  const state = await nodeOfV6("UDP", (segment, host) => ({
    ipv4Address: `192.168.${segment}.${host}/24`,
  }));
  state.update(
    annotated("UDP"),
    node("node-a", "192.168.1.11/24", {
      ipv4VXLANTunnelAddr: "10.0.0.1",
      ipv6VXLANTunnelAddr: "fd00::a:1",
    }),
  );
  await state.apply();
  const both = ["10.0.0.1", "fd00::a:1"];
  assert.deepEqual((await shown(state))?.device.slice(4).sort(), both);
  const ifindex = state.kernel.indexOf("udp.tortie") ?? 0;
  const address = { ifindex, address: parseIpAddr("fd00::a:1"), length: 128 } as const;
  await state.kernel.addresses.remove(address);
  const event = { kind: "address", op: "removed", address: { ...address, scope: "universe" } };
  assert.equal(state.dataplane.onKernelEvents([event as never]), true);
  await state.apply();
  assert.deepEqual((await shown(state))?.device.slice(4).sort(), both);
});

test("the address of a family that it carries no more is taken off the device", async () => {
  const state = await nodeOfV6("UDP", (segment, host) => ({
    ipv4Address: `192.168.${segment}.${host}/24`,
  }));
  state.update(
    annotated("UDP"),
    node("node-a", "192.168.1.11/24", {
      ipv4VXLANTunnelAddr: "10.0.0.1",
      ipv6VXLANTunnelAddr: "fd00::a:1",
    }),
  );
  await state.apply();
  state.update(pool("v6", "fd00::/64"));
  await state.apply();
  assert.deepEqual((await shown(state))?.device.slice(4), ["10.0.0.1"]);
});
