import { strict as assert } from "node:assert";
import { test } from "node:test";
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
