import { strict as assert } from "node:assert";
import { test } from "node:test";
import { readParameters } from "../../../../src/felix/config/read-parameters.ts";
import { cleanupSteps } from "../../../../src/felix/dataplane/cleanup.ts";
import type { ExecHelper } from "../../../../src/kernel/exec-helper.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { block, node, pool } from "../../../states/resources.ts";
import { FakeKernel } from "../../../support/fake-kernel.ts";
import { FelixState } from "../../../support/felix-state.ts";

/** Neither iptables nor any IP set. */
const exec = {
  run: async (program: string) => ({ code: program === "ipset" ? 0 : 127, stdout: "", stderr: "" }),
  close: () => undefined,
} as unknown as ExecHelper;
const { values } = readParameters({ env: {} });

const own = { ipv4VXLANTunnelAddr: "10.0.0.1", wireguard: { interfaceIPv4Address: "10.0.0.2" } };
const udpPool = () => {
  const { metadata, ...rest } = pool("udp", "10.0.0.0/16");
  return { ...rest, metadata: { ...metadata, annotations: { "tortie.dev/encapsulation": "UDP" } } };
};

for (const [tunnel, device, pools] of [
  ["VXLAN", "vxlan.calico", [pool("vxlan", "10.0.0.0/16", { vxlanMode: "Always" })]],
  ["the UDP tunnel", "udp.tortie", [udpPool()]],
] as const) {
  test(`cleanupSteps() leaves nothing of felix' with ${tunnel} and WireGuard`, async () => {
    const kernel = new FakeKernel();
    const ifindex = kernel.addLink("eth0", { mtu: 1500 });
    await kernel.addresses.add({ ifindex, address: parseIpAddr("192.168.1.11"), length: 24 });
    const state = new FelixState(
      { wireguardEnabled: true },
      [node("node-a", "192.168.1.11/24", own), block("10.0.0.0/29", "node-a", {}), ...pools],
      { kernel },
    );
    await state.apply();
    const names = async () => (await kernel.links.list()).map(({ name }) => name).sort();
    assert.deepEqual(await names(), ["eth0", "lo", device, "wireguard.cali"].sort());
    for (const step of await cleanupSteps(values, { kernel, exec, ipv6: true })) await step.run();
    assert.deepEqual(await names(), ["eth0", "lo"]);
    assert.deepEqual(await kernel.routes.list(), []);
    assert.deepEqual(await kernel.rules.list(4), []);
    assert.deepEqual(await cleanupSteps(values, { kernel, exec, ipv6: true }), []);
  });
}
