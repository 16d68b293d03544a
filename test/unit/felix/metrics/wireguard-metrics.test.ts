import assert from "node:assert/strict";
import { test } from "node:test";
import { felixConfig } from "../../../../src/felix/config/felix-config.ts";
import {
  wireguardDevices,
  wireguardMetrics,
} from "../../../../src/felix/metrics/wireguard-metrics.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { createLogger } from "../../../../src/lib/log.ts";
import { metricsText } from "../../../../src/lib/metrics.ts";
import { Secret } from "../../../../src/lib/secret.ts";
import { FakeKernel } from "../../../support/fake-kernel.ts";
import { fakeKey } from "../../../support/fake-wireguard.ts";

async function kernelWithDevice() {
  const kernel = new FakeKernel();
  await kernel.links.addWireguard("wireguard.cali", 1440);
  const ifindex = kernel.indexOf("wireguard.cali") ?? 0;
  await kernel.wireguard.renewKey(ifindex);
  await kernel.wireguard.set(ifindex, { listenPort: 51_820 });
  const common = { allowed: [], keepaliveSeconds: 0, presharedKey: new Secret(fakeKey(9)) };
  await kernel.wireguard.setPeers(ifindex, [
    {
      ...common,
      publicKey: fakeKey(1),
      endpoint: { address: parseIpAddr("192.168.1.12"), port: 51_820 },
      lastHandshake: 1_700_000_000,
      receivedBytes: 148,
      sentBytes: 92,
    },
    {
      ...common,
      publicKey: fakeKey(2),
      endpoint: { address: parseIpAddr("2001:db8::12"), port: 51_821 },
    },
  ]);
  return kernel;
}

test("each peer has its last handshake and octets, by Calico's names and labels, and no secret", async () => {
  const kernel = await kernelWithDevice();
  const log = createLogger({ name: "felix", level: "silent" });
  const devices = await wireguardDevices(["wireguard.cali", "wg-v6.cali"], { kernel, log });
  const text = metricsText(wireguardMetrics("node-a", devices));
  const own = `hostname="node-a",public_key="${fakeKey(101)}"`;
  const one = `{${own},peer_key="${fakeKey(1)}",peer_endpoint="192.168.1.12:51820"}`;
  const other = `{${own},peer_key="${fakeKey(2)}",peer_endpoint="[2001:db8::12]:51821"}`;
  assert.deepEqual(
    text.split("\n").filter((line) => line !== "" && !line.startsWith("#")),
    [
      `wireguard_meta{${own},iface="wireguard.cali",listen_port="51820"} 1`,
      `wireguard_latest_handshake_seconds${one} 1700000000`,
      `wireguard_latest_handshake_seconds${other} 0`,
      `wireguard_bytes_rcvd${one} 148`,
      `wireguard_bytes_rcvd${other} 0`,
      `wireguard_bytes_sent${one} 92`,
      `wireguard_bytes_sent${other} 0`,
    ],
  );
  assert.ok(!text.includes(fakeKey(9)));
});

test("a device that cannot be read is told of in the log, and the others' metrics are there", async () => {
  const kernel = await kernelWithDevice();
  const lines: string[] = [];
  const log = createLogger({ name: "felix" }, { write: (line) => void lines.push(line) });
  const refusing = {
    links: { get: async () => ({ ifindex: 99, type: "wireguard" }) } as never,
    wireguard: kernel.wireguard,
  };
  assert.deepEqual(await wireguardDevices(["wireguard.cali"], { kernel: refusing, log }), []);
  assert.match(lines.join(""), /no metrics of WireGuard/);
});

test("prometheusWireGuardMetricsEnabled tells of the devices that are switched on", () => {
  const of = (global: Readonly<Record<string, unknown>>) =>
    felixConfig({ global, env: {} }).metrics.wireguardDevices;
  assert.deepEqual(of({}), []);
  assert.deepEqual(of({ wireguardEnabled: true }), ["wireguard.cali"]);
  const both = { wireguardEnabled: true, wireguardEnabledV6: true };
  assert.deepEqual(of(both), ["wireguard.cali", "wg-v6.cali"]);
  assert.deepEqual(of({ ...both, prometheusWireGuardMetricsEnabled: false }), []);
});
