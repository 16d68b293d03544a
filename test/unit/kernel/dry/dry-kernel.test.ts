import assert from "node:assert/strict";
import { test } from "node:test";
import { dryExec } from "../../../../src/kernel/dry/dry-exec.ts";
import { DryKernel } from "../../../../src/kernel/dry/dry-kernel.ts";
import { type HelperProgram, helperPrograms } from "../../../../src/kernel/exec-helper-protocol.ts";
import type { Kernel } from "../../../../src/kernel/kernel.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { parseMac } from "../../../../src/lib/mac.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";
import { FakeKernel } from "../../../support/fake-kernel.ts";

/** What only tells; whatever else a part of the kernel offers writes. */
const readers = new Set(["list", "lookup", "get", "offloadsChecksum"]);

const parts = [
  ...(["links", "routes", "addresses", "neighbors", "fdb", "rules", "traffic"] as const),
  "wireguard",
] as const;

/** A kernel that lets nobody write. */
function guarded(kernel: Kernel): Kernel {
  const readOnly = (part: object) =>
    new Proxy(part, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        if (!readers.has(String(name))) return () => assert.fail(`${String(name)} writes`);
        return value.bind(target);
      },
    });
  const shown = Object.fromEntries(parts.map((part) => [part, readOnly(kernel[part])]));
  return { ...shown, indexOf: kernel.indexOf.bind(kernel) } as unknown as Kernel;
}

const route = {
  ...({ table: 254, priority: 0, kind: "unicast", scope: "universe", protocol: 80 } as const),
  destination: parsePrefix("10.1.0.0/26"),
  ifindex: 1,
};
const address = { ifindex: 1, address: parseIpAddr("10.0.0.1"), length: 32 };
const neighbor = {
  ...({ ifindex: 1, state: "permanent" } as const),
  address: parseIpAddr("10.0.0.2"),
  mac: parseMac("66:00:00:00:00:01"),
};
const entry = { ifindex: 1, mac: neighbor.mac, destination: neighbor.address };
const rule = { family: 4, priority: 99, table: 1, mark: 1, mask: 1 } as const;
const bucket = { rate: 1000, burst: 1000, limit: 1000, latencyMs: 50 } as never;
const peer = { publicKey: "key", allowed: [] } as never;

test("DryKernel: every write is noted and none is made", async () => {
  const dry = new DryKernel(guarded(new FakeKernel()));
  const { links, routes, addresses, neighbors, fdb, rules, traffic, wireguard } = dry;
  await routes.replace([route]);
  await routes.remove([route]);
  await addresses.add(address);
  await addresses.remove(address);
  await neighbors.replace([neighbor]);
  await neighbors.remove([neighbor]);
  await fdb.replace([entry]);
  await fdb.remove([entry]);
  await rules.add(rule);
  await rules.remove(rule);
  await traffic.limit(1, bucket);
  await traffic.redirect(1, 1);
  await traffic.remove(1, "root");
  await wireguard.set(1, { listenPort: 1 });
  await wireguard.renewKey(1);
  await wireguard.setPeers(1, [peer]);
  await wireguard.removePeers(1, [peer]);
  await links.addVxlan({ name: "v", mac: neighbor.mac, mtu: 1450 } as never);
  await links.addIpip("tunl0");
  await links.addIp6Tunnel("t6", 1400);
  await links.addSit("s", { mtu: 1400 } as never);
  await links.addTap("tap");
  await links.addBridge("b");
  await links.addWireguard("w", 1420);
  await links.addIfb("i", 1500);
  await links.set(1, { mtu: 1400 });
  await links.setChecksumOffload("lo", false);
  await links.remove(1);
  await assert.rejects(links.addVeth(), /only read/);
  await assert.rejects(dry.configure(), /only read/);
  const counted = new Map<string, number>();
  for (const { kind } of dry.changes) counted.set(kind, (counted.get(kind) ?? 0) + 1);
  assert.deepEqual(Object.fromEntries(counted), {
    ...{ route: 2, address: 1, neighbor: 1, fdb: 1, rule: 2, traffic: 2 },
    ...{ wireguard: 2, wireguardPeer: 1, link: 10, checksum: 1 },
  });
});

test("DryLinks: what is set in two steps is one change of what the link was", async () => {
  const real = new FakeKernel();
  const dry = new DryKernel(guarded(real));
  await dry.links.set(1, { mtu: 1400 });
  await dry.links.set(1, { up: false });
  const [change, ...others] = dry.changes;
  assert.deepEqual(others, []);
  assert.ok(change?.kind === "link" && change.op === "set");
  assert.deepEqual([change.link.mtu, change.change], [65_536, { mtu: 1400, up: false }]);
  assert.equal((await dry.links.get("lo"))?.mtu, 1400);
  assert.equal((await real.links.get("lo"))?.mtu, 65_536);
});

test("dryExec: runs what only tells", async () => {
  const ran: string[] = [];
  const exec = dryExec({
    run: async (program, args) => {
      ran.push([program, ...args].join(" "));
      return { code: 0, stdout: "real", stderr: "" };
    },
    close: () => undefined,
  });
  const run = async (program: HelperProgram, ...args: string[]) =>
    (await exec.run(program, args, { stdin: "*filter\nCOMMIT\n" })).stdout;
  for (const program of helperPrograms) {
    const isRead = program.endsWith("-save");
    assert.equal(await run(program, "-t", "filter"), isRead ? "real" : "", program);
  }
  assert.equal(await run("iptables-restore", "--version"), "real");
  assert.equal(await run("conntrack", "--delete", "--orig-src", "10.0.0.1"), "");
  assert.ok(
    ran.every((line) => /-save -t filter$|--version$/.test(line)),
    ran.join("\n"),
  );
});
