import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { TestNetns } from "../support/netns.ts";

/** `tortie node cleanup` in a namespace in which there is something of ours of each kind, and of others. */

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "tortie-cleanup-"));
const netFolder = join(folder, "net.d");
const env = {
  PATH: process.env["PATH"] ?? "",
  NODENAME: "node1",
  CNI_NET_DIR: netFolder,
  TORTIE_RUN_DIR: join(folder, "run"),
  CALICO_NODENAME_FILE: join(folder, "nodename"),
  TORTIE_MTU_FILE: join(folder, "mtu"),
  TORTIE_CNI_SPOOL: join(folder, "cni-deletions"),
};
const foreignRules = `*filter
:THEIRS - [0:0]
-A FORWARD -s 203.0.113.0/24 -j THEIRS
-A THEIRS -j ACCEPT
COMMIT
`;

let netns: TestNetns;

before(() => {
  netns = new TestNetns("cleanup");
  netns.addVeth("eth0", "other");
  netns.ip("addr add 192.0.2.1/24 dev eth0");
  netns.ip("route add 198.51.100.0/24 via 192.0.2.2 proto 186");
  netns.ip("rule add pref 100 fwmark 0x1 lookup 100");
  netns.ip("rule add pref 99 not fwmark 0x2/0x2 lookup main");
  netns.run("iptables-nft-restore", ["--noflush"], foreignRules);
  netns.run("ipset", ["create", "theirs", "hash:net"]);
  netns.ip("link add calibr0 type bridge");
  mkdirSync(netFolder);
  writeFileSync(join(netFolder, "05-other.conflist"), "{}");
});
after(() => {
  netns.remove();
  rmSync(folder, { recursive: true });
});

/** All that the kernel has here. */
function kernelState(): string {
  const tables = ["iptables-nft-save", "ip6tables-nft-save"].map((save) =>
    netns.run(save).replaceAll(/^#.*\n|\[\d+:\d+\]/gm, ""),
  );
  const words = ["-o link", "-o addr", "route show table all", "rule", "-6 rule"];
  return (
    [...tables, netns.run("ipset", ["list", "-n"]), ...words.map((each) => netns.ip(each))]
      .join("\n")
      .split("\n")
      // The kernel adds these by itself, a while after a device is up.
      .filter((line) => !/fe80:|ff00:/.test(line))
      .join("\n")
  );
}

function makeNode(): void {
  netns.ip("link add vxlan.calico type vxlan id 4096 dstport 4789 dev eth0");
  netns.ip("link set vxlan.calico up");
  netns.ip("tuntap add dev udp.tortie mode tap");
  netns.ip("link add cali0123456789a type veth peer name pod0");
  netns.ip("link set cali0123456789a up");
  netns.ip("route add 10.65.0.1 dev cali0123456789a proto 3");
  netns.ip("route add 10.65.1.0/26 via 192.0.2.2 proto 12");
  netns.ip("route add blackhole 10.65.0.0/26 proto 80");
  netns.ip("rule add pref 99 not fwmark 0x100000/0x100000 lookup 1");
  netns.ip("route add 10.65.2.0/26 dev eth0 table 1");
  netns.run("ipset", ["create", "cali40s:abc", "hash:net"]);
  netns.run("ipset", ["create", "cali60s:abc", "hash:net", "family", "inet6"]);
  netns.run("iptables-nft-restore", ["--noflush"], ourRules);
  mkdirSync(join(folder, "run"));
  mkdirSync(join(folder, "cni-deletions"));
  writeFileSync(join(folder, "nodename"), "node1");
  writeFileSync(join(folder, "mtu"), "1450");
  const conflist = { name: "k8s-pod-network", plugins: [], "tortie.installed": [] };
  writeFileSync(join(netFolder, "10-calico.conflist"), JSON.stringify(conflist));
}

const ourRules = `*filter
:cali-FORWARD - [0:0]
-A cali-FORWARD -m set --match-set cali40s:abc src -j DROP
-I FORWARD -m comment --comment "cali:wUHhoiAYhphO9Mso" -j cali-FORWARD
COMMIT
`;

const cleanup = (...args: readonly string[]) =>
  netns.run("env", [
    ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
    ...[process.execPath, main, "node", "cleanup", ...args],
  ]);

test("node cleanup removes all that a node has left, and nothing else; --dry-run only says what", () => {
  const pristine = kernelState();
  makeNode();
  const full = kernelState();
  assert.notEqual(full, pristine);

  const told = cleanup("--dry-run");
  assert.equal(kernelState(), full);
  assert.ok(existsSync(join(folder, "nodename")));
  for (const what of [
    "rules and chains of ours in table filter (iptables nft)",
    "IPv4 sets: cali40s:abc",
    "IPv6 sets: cali60s:abc",
    "IPv4 routing rule 99 to table 1, and 1 routes there",
    "1 routes of protocol 12: 10.65.1.0/26",
    "1 routes of protocol 80: 10.65.0.0/26",
    "device vxlan.calico",
    "device udp.tortie",
    "device cali0123456789a",
    "10-calico.conflist",
    join(folder, "nodename"),
  ]) {
    assert.ok(told.includes(what), `${what} in:\n${told}`);
  }

  // No pod may be reached without its policy.
  assert.ok(told.indexOf("device cali") < told.indexOf("chains of ours"), told);

  const done = cleanup();
  assert.equal(done, told.replaceAll(/^would remove /gm, "removed "));
  assert.equal(kernelState(), pristine);
  assert.deepEqual(readdirSync(folder), ["net.d"]);
  assert.deepEqual(readdirSync(netFolder), ["05-other.conflist"]);
  assert.equal(cleanup(), "Nothing of a node is left here\n");
});

for (const name of ["node", "udp-tunnel"]) {
  test(`node cleanup refuses while a process of a node runs: ${name}`, async () => {
    const running = join(folder, "run");
    mkdirSync(running, { recursive: true });
    // It stands in for the process: its command line has the word.
    const { spawn } = await import("node:child_process");
    const child = spawn(process.execPath, ["-e", "setInterval(() => undefined, 1000)", name]);
    const file = join(running, `${name}.pid`);
    writeFileSync(file, `${child.pid}\n`);
    try {
      assert.throws(
        () => cleanup(),
        new RegExp(`Cannot clean up: \`tortie ${name}\` runs here \\(process ${child.pid}\\)`),
      );
    } finally {
      child.kill("SIGKILL");
      rmSync(file);
    }
  });
}

test("node cleanup refuses while a node answers, whose pids are those of a container", async () => {
  const running = join(folder, "run");
  mkdirSync(running, { recursive: true });
  const node = createServer();
  await new Promise<void>((resolve) => node.listen(join(running, "cni.sock"), resolve));
  try {
    assert.throws(() => cleanup(), /a node runs here and answers at \S+cni\.sock/);
  } finally {
    await new Promise((resolve) => node.close(resolve));
  }
});
