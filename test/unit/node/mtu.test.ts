import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readParameters } from "../../../src/felix/config/read-parameters.ts";
import { createLogger } from "../../../src/lib/log.ts";
import { hostMtu, MtuFile, MtuFileError, podMtu } from "../../../src/node/mtu.ts";
import { pool } from "../ipam/cluster.ts";

const link = (name: string, mtu: number) => ({ name, mtu, ifindex: 1, up: true, addresses: [] });

test("hostMtu() is the least of the uplinks, by name", () => {
  const links = [link("lo", 65536), link("eth0", 9000), link("ens3", 1500), link("cali1", 1400)];
  const pattern = (given: string) =>
    readParameters({ global: { mtuIfacePattern: given }, env: {} }).values.mtuIfacePattern;
  assert.equal(hostMtu(pattern(""), links), 1500);
  assert.equal(hostMtu(pattern("^eth"), links), 9000);
  assert.equal(hostMtu(pattern("(?i)^ETH"), links), 9000);
  assert.equal(hostMtu(pattern("("), links), 1500);
  assert.equal(hostMtu(pattern(""), [link("lo", 65536)]), 0);
});

const plainHost = {
  ipipMTU: 0,
  udpMTU: 0,
  vxlanMTU: 0,
  vxlanMTUV6: 0,
  wireguardEnabled: false,
  wireguardEnabledV6: false,
  wireguardMTU: 0,
  wireguardMTUV6: 0,
};

test("podMtu() leaves room for WireGuard, or is what its device has", () => {
  const v4 = { ...plainHost, wireguardEnabled: true };
  assert.equal(podMtu(1500, [], v4), 1440);
  assert.equal(podMtu(1500, [], { ...v4, wireguardEnabledV6: true }), 1420);
  assert.equal(podMtu(1500, [], { ...v4, wireguardMTU: 1400 }), 1400);
  assert.equal(podMtu(1500, [], { ...plainHost, wireguardMTU: 1400 }), 1500);
});

test("podMtu() leaves room for the largest header that a pool uses", () => {
  const plain = pool("a", { cidr: "10.0.0.0/16" });
  const ipip = pool("b", { cidr: "10.1.0.0/16", ipipMode: "Always" });
  const vxlan = pool("c", { cidr: "10.2.0.0/16", vxlanMode: "CrossSubnet" });
  const vxlanV6 = pool("d", { cidr: "fd00::/48", vxlanMode: "Always" });
  assert.equal(podMtu(1500, [], plainHost), 1500);
  assert.equal(podMtu(1500, [plain], plainHost), 1500);
  assert.equal(podMtu(1500, [plain, ipip], plainHost), 1480);
  assert.equal(podMtu(1500, [ipip, vxlan], plainHost), 1450);
  assert.equal(podMtu(1500, [vxlanV6, vxlan], plainHost), 1430);
  assert.equal(podMtu(0, [vxlan], plainHost), 0);
  const metadata = { name: "e", annotations: { "tortie.dev/encapsulation": "UDP" } };
  const udp = { ...pool("e", { cidr: "10.3.0.0/16" }), metadata };
  assert.equal(podMtu(1500, [udp], plainHost), 1472);
  assert.equal(podMtu(1500, [udp], { ...plainHost, udpMTU: 1400 }), 1400);
});

test("podMtu() is what the devices are configured to have, each of those in use", () => {
  const ipip = pool("b", { cidr: "10.1.0.0/16", ipipMode: "Always" });
  const vxlan = pool("c", { cidr: "10.2.0.0/16", vxlanMode: "CrossSubnet" });
  const vxlanV6 = pool("d", { cidr: "fd00::/48", vxlanMode: "Always" });
  const mtus = { ...plainHost, ipipMTU: 1300, vxlanMTU: 1350, vxlanMTUV6: 1400 };
  assert.equal(podMtu(1500, [], mtus), 1500);
  assert.equal(podMtu(1500, [vxlanV6], mtus), 1400);
  assert.equal(podMtu(1500, [vxlanV6, vxlan], mtus), 1350);
  assert.equal(podMtu(1500, [vxlanV6, vxlan, ipip], mtus), 1300);
  // The smallest uplink need not be the one that carries the tunnel.
  assert.equal(podMtu(1500, [vxlan], { ...plainHost, vxlanMTU: 8950 }), 8950);
});

test("requireMTUFile: what is not written is an error, and only logged without it", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "tortie-mtu-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const required = (spec: Readonly<Record<string, unknown>>) =>
    readParameters({ global: spec, env: {} }).values.requireMTUFile;
  const lines: string[] = [];
  const log = createLogger({ name: "node" }, { write: (line) => void lines.push(line) });
  writeFileSync(join(folder, "file"), "");
  const impossible = new MtuFile(join(folder, "file", "mtu"), log);
  impossible.update(1450, required({}));
  impossible.update(1450, required({}));
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /pod MTU not written/);
  const must = required({ requireMTUFile: true });
  assert.throws(() => impossible.update(1450, must), MtuFileError);
  const possible = new MtuFile(join(folder, "mtu"), log);
  assert.throws(() => possible.update(0, must), /no interface tells/);
  possible.update(1450, must);
  possible.update(0, must);
  assert.equal(readFileSync(join(folder, "mtu"), "utf8"), "1450");
});
