import { strict as assert } from "node:assert";
import { test } from "node:test";
import { felixConfig } from "../../../../src/felix/config/felix-config.ts";
import { IpipManager } from "../../../../src/felix/dataplane/ipip-manager.ts";
import { KernelLinks } from "../../../../src/felix/dataplane/kernel-links.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { block, node, pool } from "../../../states/resources.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { FakeKernel } from "../../../support/fake-kernel.ts";
import { FelixState } from "../../../support/felix-state.ts";

async function setUp(env: Readonly<Record<string, string>> = {}) {
  const kernel = new FakeKernel();
  const eth0 = kernel.addLink("eth0", { mtu: 1500 });
  const links = new KernelLinks(kernel.links, new FakeClock());
  const manager = new IpipManager("node-a", felixConfig({ env }));
  const apply = async (wanted: boolean) => {
    await links.refresh();
    await manager.applyDevice(wanted, links.byName("eth0"), { kernel, links });
    return device();
  };
  const device = async () => {
    const link = await kernel.links.get("tunl0");
    if (link === undefined) return undefined;
    const addresses = await kernel.addresses.list({ ifindex: link.ifindex });
    return {
      up: link.up,
      mtu: link.mtu,
      addresses: addresses.map(({ address, length }) => `${address}/${length}`),
    };
  };
  const address = (text: string) =>
    manager.onUpdate({
      op: "set",
      kind: "host",
      id: "node-a",
      value: { ipipTunnelAddress: parseIpAddr(text) },
    });
  return { kernel, eth0, apply, address, device };
}

test("the IPIP device is up with the node's tunnel address, and follows it", async () => {
  const { apply, address } = await setUp();
  assert.equal(await apply(true), undefined, "no address yet");
  address("10.0.0.1");
  assert.deepEqual(await apply(true), { up: true, mtu: 1480, addresses: ["10.0.0.1/32"] });
  address("10.0.0.2");
  assert.deepEqual(await apply(true), { up: true, mtu: 1480, addresses: ["10.0.0.2/32"] });
  assert.deepEqual(await apply(false), { up: false, mtu: 1480, addresses: [] });
});

test("ipipMTU is the device's MTU", async () => {
  const { apply, address } = await setUp({ FELIX_IPINIPMTU: "1400" });
  address("10.0.0.1");
  assert.equal((await apply(true))?.mtu, 1400);
});

test("what somebody changed on the device is mended", async () => {
  const { kernel, apply, address } = await setUp();
  address("10.0.0.1");
  await apply(true);
  const { ifindex } = (await kernel.links.get("tunl0")) ?? { ifindex: 0 };
  await kernel.links.set(ifindex, { up: false, mtu: 1000 });
  await kernel.addresses.add({ ifindex, address: parseIpAddr("10.9.9.9"), length: 32 });
  assert.deepEqual(await apply(true), { up: true, mtu: 1480, addresses: ["10.0.0.1/32"] });
});

test("a tunl0 that is not ours, and not wanted, stays as it is", async () => {
  const { kernel, apply } = await setUp();
  const ifindex = kernel.addLink("tunl0", { type: "ipip", up: true, mtu: 1480 });
  await kernel.addresses.add({ ifindex, address: parseIpAddr("203.0.113.1"), length: 32 });
  assert.deepEqual(await apply(false), { up: true, mtu: 1480, addresses: ["203.0.113.1/32"] });
});

async function nodeOf(spec: Readonly<Record<string, unknown>>, ipipMode: "Always" | "Never") {
  const state = new FelixState(spec, [
    node("node-a", "192.168.1.11/24", {
      bgp: { ipv4Address: "192.168.1.11/24", ipv4IPIPTunnelAddr: "10.0.0.1" },
    }),
    node("node-b", "192.168.2.12/24", {}),
    pool("default", "10.0.0.0/16", { ipipMode }),
    block("10.0.0.0/29", "node-a", {}),
    block("10.0.0.8/29", "node-b", {}),
  ]);
  const { kernel } = state;
  const ifindex = kernel.addLink("eth0", { mtu: 1500 });
  await kernel.addresses.add({ ifindex, address: parseIpAddr("192.168.1.11"), length: 24 });
  await state.apply();
  return state;
}

test("a pool's IPIP becomes the device, routes and rules", async () => {
  const { kernel, rules } = await nodeOf({}, "Always");
  assert.deepEqual(kernel.text(), [
    "10.0.0.8/29 via 192.168.2.12 dev tunl0 proto 80 onlink",
    "blackhole 10.0.0.0/29 proto 80",
  ]);
  assert.match(rules, /-A cali-INPUT .*-p 4|--protocol 4/);
  assert.match(rules, /tunl0/);
});

test("ipipEnabled decides whatever pools say", async () => {
  const enabled = await nodeOf({ ipipEnabled: true }, "Never");
  assert.equal((await enabled.kernel.links.get("tunl0"))?.up, true);
  const disabled = await nodeOf({ ipipEnabled: false }, "Always");
  assert.equal(await disabled.kernel.links.get("tunl0"), undefined);
});

test("programClusterRoutes Disabled leaves IPIP's routes to BGP", async () => {
  const { kernel } = await nodeOf({ programClusterRoutes: "Disabled" }, "Always");
  assert.deepEqual(kernel.text(), []);
});
