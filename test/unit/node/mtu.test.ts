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
  const down = { ...link("eth1", 1280), up: false };
  assert.equal(hostMtu(pattern(""), [...links, down]), 1500);
  assert.equal(hostMtu(pattern(""), [link("lo", 65536)]), undefined);
});

/** With these fields of FelixConfiguration. */
const parameters = (spec: Readonly<Record<string, unknown>> = {}) =>
  readParameters({ global: spec, env: {} }).values;

const plain = pool("a", { cidr: "10.0.0.0/16" });
const ipip = pool("b", { cidr: "10.1.0.0/16", ipipMode: "Always" });
const vxlan = pool("c", { cidr: "10.2.0.0/16", vxlanMode: "CrossSubnet" });
const vxlanV6 = pool("d", { cidr: "fd00::/48", vxlanMode: "Always" });

const own = (encapsulation: string, cidr: string) =>
  ({
    ...pool("e", { cidr }),
    metadata: { name: "e", annotations: { "tortie.dev/encapsulation": encapsulation } },
  }) as typeof plain;
const udp = own("UDP", "10.3.0.0/16");
const ip6ip6 = own("IP6IP6", "fd00:1::/48");
const sit = own("SITCrossSubnet", "fd00:2::/48");

type Row = readonly [
  pools: readonly (typeof plain)[],
  spec: Readonly<Record<string, unknown>>,
  mtu: number,
];
const rows: readonly Row[] = [
  [[], {}, 1500],
  [[plain], {}, 1500],
  [[plain, ipip], {}, 1480],
  [[ipip, vxlan], {}, 1450],
  [[vxlanV6, vxlan], {}, 1430],
  [[udp, plain], {}, 1472],
  [[udp], { udpMTU: 1400 }, 1400],
  [[own("UDP", "fd00:3::/48")], {}, 1472],
  [[ip6ip6, plain], {}, 1460],
  [[sit, plain], {}, 1480],
  [[sit], { ip6TunnelMTU: 1300 }, 1300],
  [[vxlan], { vxlanMTU: 1350 }, 1350],
  // The smallest uplink need not be the one that carries the tunnel.
  [[vxlan], { vxlanMTU: 8950 }, 8950],
  [[vxlan], { vxlanMTUV6: 1300 }, 1450],
  [[vxlanV6], { vxlanMTUV6: 1300 }, 1300],
  [[ipip, vxlan], { ipipMTU: 1400 }, 1400],
  [[ipip], { ipipMTU: 1490 }, 1490],
  [[plain], { vxlanMTU: 1350 }, 1500],
  [[plain], { vxlanEnabled: true }, 1450],
  [[vxlan], { vxlanEnabled: false }, 1500],
  [[plain], { ipipEnabled: true }, 1480],
  [[], { wireguardEnabled: true }, 1440],
  [[], { wireguardEnabled: true, wireguardEnabledV6: true }, 1420],
  [[vxlan], { wireguardEnabled: true, wireguardMTU: 1400 }, 1400],
  [[], { wireguardMTU: 1400 }, 1500],
];
for (const [pools, spec, mtu] of rows) {
  const names = pools.map(({ metadata }) => metadata.name).join("+");
  test(`podMtu() of pools ${names || "none"} with ${JSON.stringify(spec)} is ${mtu}`, () => {
    assert.equal(podMtu(1500, pools, { values: parameters(spec), udpFamily: 4 }), mtu);
  });
}

test("the UDP tunnel's own packets of IPv6 take more", () => {
  assert.equal(podMtu(1500, [udp], { values: parameters({}), udpFamily: 6 }), 1452);
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
  const update = (file: MtuFile, spec: Readonly<Record<string, unknown>>) =>
    file.update(1500, { required: required(spec), podMtu: (host) => host - 50 });
  update(impossible, {});
  update(impossible, {});
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /pod MTU not written/);
  assert.throws(() => update(impossible, { requireMTUFile: true }), MtuFileError);
  const possible = new MtuFile(join(folder, "mtu"), log);
  update(possible, { requireMTUFile: true });
  assert.equal(readFileSync(join(folder, "mtu"), "utf8"), "1450");
});

test("a guess is written where nothing is, with a warning, and never in the place of what is known", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "tortie-mtu-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const lines: string[] = [];
  const log = createLogger({ name: "node" }, { write: (line) => void lines.push(line) });
  const file = new MtuFile(join(folder, "mtu"), log);
  const written = () => readFileSync(join(folder, "mtu"), "utf8");
  const update = (host: number | undefined, headers: number) =>
    file.update(host, { required: false, podMtu: (ofHost) => ofHost - headers });
  update(undefined, 0);
  assert.equal(written(), "1460");
  assert.match(lines[0] ?? "", /mtuIfacePattern/);
  update(undefined, 50);
  assert.equal(written(), "1410");
  update(1500, 50);
  update(undefined, 50);
  assert.equal(written(), "1450");
  update(undefined, 20);
  assert.equal(written(), "1480");
});
