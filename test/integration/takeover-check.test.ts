import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Action, Match, Rule, TableName } from "../../src/kernel/iptables/model.ts";
import { parseSave } from "../../src/kernel/iptables/parse-save.ts";
import { renderChain } from "../../src/kernel/iptables/rendered-chain.ts";
import { parseIpAddr } from "../../src/lib/ip-addr.ts";
import { parsePrefix } from "../../src/lib/prefix.ts";
import { canonicalRule } from "../../src/takeover/canonical-rule.ts";
import type { Area, Finding } from "../../src/takeover/finding.ts";
import type { Report } from "../../src/takeover/report-text.ts";
import { calicoNode } from "../support/calico-node/calico-node.ts";
import { endChild } from "../support/end-child.ts";
import { TestNetns } from "../support/netns.ts";
import { waitFor } from "../support/wait-for.ts";
import type { FelixNode } from "./felix-node.ts";

/** `tortie takeover check` on a node that Calico has left, and then felix, which does what the check has said. */

const tortie = fileURLToPath(new URL("../../bin/tortie", import.meta.url));
let node: FelixNode;

before(async () => {
  node = await calicoNode("take", "nft");
});
after(() => node.close());

function check(args: readonly string[], more: Readonly<Record<string, string>> = {}) {
  const env = {
    PATH: process.env["PATH"] ?? "",
    NODENAME: "node1",
    DATASTORE_TYPE: "embedded",
    TORTIE_DATASTORE_PATH: join(node.folder, "store"),
    TORTIE_RUN_DIR: node.folder,
    TORTIE_MTU_FILE: join(node.folder, "mtu"),
    CNI_NET_DIR: node.folder,
    FELIX_IPTABLESBACKEND: "nft",
    FELIX_DEFAULTENDPOINTTOHOSTACTION: "ACCEPT",
    FELIX_IPV6SUPPORT: "false",
    ...more,
  };
  const words = ["netns", "exec", node.netns, tortie, "takeover", "check", ...args];
  const { stdout, stderr, status } = spawnSync("ip", words, { env, encoding: "utf8" });
  assert.equal(stderr, "");
  return { stdout, status };
}

function report(more: Readonly<Record<string, string>> = {}): Report {
  const { stdout, status } = check(["-o", "json"], more);
  const found = JSON.parse(stdout) as Report;
  assert.equal(status, found.exitCode);
  return found;
}

function areaOf({ areas }: Report, name: string): Area {
  return areas.find((area) => area.name === name) ?? assert.fail(`no area ${name}`);
}

function interrupting({ areas }: Report): Finding[] {
  return areas.flatMap(({ findings }) => findings.filter(({ interrupts }) => interrupts));
}

const rules = () => node.run("iptables-nft-save").replaceAll(/^#.*\n|\[\d+:\d+\]/gm, "");

/** All that the kernel has here. */
function kernelState(): string {
  const ip = ["-o -d link", "-o addr", "route show table all", "rule", "neigh show nud permanent"];
  return [
    rules(),
    node.run("ipset", "list").replaceAll(/^(Size in memory|References|Number).*\n/gm, ""),
    ...ip.map((words) => node.run("ip", ...words.split(" "))),
    node.run("bridge", "fdb", "show", "dev", "vxlan.calico"),
    node.run("sysctl", "-a", "-r", "conf.cali|ip_forward$"),
  ].join("\n");
}

test("of a node that differs only in the hashes of rules it is said that no packet is lost", async () => {
  const before = kernelState();
  const { revision } = await node.datastore.list("Node");
  const { stdout, status } = check([]);
  assert.equal(status, 0, stdout);
  const text =
    /replaced 9: chain .*: differs only in hash comments: all are replaced in one restore, no packet is lost/;
  assert.match(stdout, text);
  // tortie's tree of dispatch chains has another shape than Calico's.
  assert.match(
    stdout,
    /replaced 2: chain cali-\w+-wl-dispatch, .*: it leads each interface to the same chain as before/,
  );
  assert.match(stdout, /^SAFE: nothing that flows now would be interrupted$/m);
  assert.match(
    stdout,
    /note: routes of protocol 12 that stay until 2 peers have told theirs again \(graceful restart\): 1$/m,
  );

  const found = report();
  assert.deepEqual(areaOf(found, "routes of felix"), {
    ...{ name: "routes of felix", equal: 4, findings: [], notes: [] },
  });
  for (const [area, equal] of [
    ["neighbors", 3],
    ["forwarding entries", 2],
    ["IP sets IPv4", 6],
    ["devices", 1],
    ["routes of bgp", 1],
  ] as const) {
    assert.deepEqual([areaOf(found, area).findings, areaOf(found, area).equal], [[], equal], area);
  }
  assert.equal(kernelState(), before);
  assert.equal((await node.datastore.list("Node")).revision, revision);
});

test("of the host it is said who runs there, and what start-up and install-cni would change", async () => {
  const bird = join(node.folder, "bird");
  copyFileSync("/bin/sleep", bird);
  const listen = "require('net').createServer().listen(179, '127.0.0.1')";
  const children = [
    spawn("ip", ["netns", "exec", node.netns, bird, "600"], { stdio: "ignore" }),
    spawn("ip", ["netns", "exec", node.netns, process.execPath, "-e", listen], { stdio: "ignore" }),
  ];
  const conflist = join(node.folder, "10-calico.conflist");
  writeFileSync(
    conflist,
    '{"name": "k8s-pod-network", "plugins": [{"type": "calico"}, {"type": "mesh"}]}',
  );
  writeFileSync(join(node.folder, "mtu"), "1440");
  try {
    const more = { IP: "192.168.1.99/24" };
    let found = report(more);
    const notes = () => areaOf(found, "processes").notes.join("\n");
    await waitFor(
      () => {
        found = report(more);
        return notes().includes("179") && notes().includes("bird");
      },
      { timeoutMs: 60_000 },
    );
    assert.match(notes(), /^bird runs here: process \d+\nit must end before tortie starts/);
    assert.match(notes(), /^somebody listens on TCP 179: BGP$/m);
    const [address] = interrupting(found);
    assert.equal(address?.what, "ipv4Address 192.168.1.11/24 of Node node1 by 192.168.1.99/24");
    const files = areaOf(found, "CNI files").findings.map(
      ({ change, what }) => `${change} ${what}`,
    );
    assert.ok(files.includes(`replaced ${conflist}`), files.join("\n"));
    assert.deepEqual(
      areaOf(found, "MTU file").findings.map(({ what }) => what),
      [`${join(node.folder, "mtu")}: 1440 by 1450`],
    );
    assert.match(readFileSync(conflist, "utf8"), /"mesh"/);
    assert.equal(
      (await node.datastore.get({ kind: "Node", name: "node1" })).spec.bgp?.ipv4Address,
      "192.168.1.11/24",
    );
  } finally {
    for (const child of children) await endChild(child, "SIGKILL");
  }
});

test("what is wrong on the node is named, and judged", () => {
  node.run("ip", "link", "set", "vxlan.calico", "address", "66:f9:37:c3:7e:95");
  node.run("ip", "route", "add", "10.77.0.0/24", "dev", "vxlan.calico");
  node.run("ip", "route", "add", "10.78.0.0/24", "dev", "cali0d7763386da");
  node.run(
    "ip",
    "route",
    "replace",
    ..."10.244.20.0/26 via 192.168.1.99 dev eth0 proto 80 onlink".split(" "),
  );
  node.run("ip", "route", "add", "10.244.40.0/26", "via", "192.168.1.12", "proto", "80");
  node.run("iptables-nft", "-I", "cali-FORWARD", "-s", "203.0.113.0/24", "-j", "ACCEPT");
  node.run("iptables-nft", "-D", "cali-tw-cali0d7763386da", "2");
  node.run("ipset", "add", "cali40s:g_TM4cHGncRYRKupcms5_3m", "198.51.100.7");
  const found = report();
  assert.equal(found.verdict, "interrupts");
  assert.equal(found.exitCode, 1);
  const told = interrupting(found).map(({ change, what, why }) => `${change} ${what}: ${why}`);
  const expected = [
    /^replaced MAC address of vxlan.calico: it has 66:f9:37:c3:7e:95, the datastore says 66:f9:37:c3:7e:94/,
    /^removed route 10\.77\.0\.0\/24 dev vxlan.calico proto 3: nothing in the datastore asks for it/,
    /^removed route 10\.78\.0\.0\/24 dev cali0d7763386da proto 3: nothing in the datastore asks for it/,
    /^replaced route 10\.244\.20\.0\/26 via 192\.168\.1\.99 dev eth0 proto 80 by .* via 192\.168\.1\.12 .*another way/,
    /^removed route 10\.244\.40\.0\/26 via 192\.168\.1\.12 dev eth0 proto 80: nothing in the datastore/,
    /^replaced chain cali-FORWARD: it was edited by hand.*"-s 203\.0\.113\.0\/24 -j ACCEPT" would go$/,
    /^replaced chain cali-tw-cali0d7763386da: it decides otherwise: ".*INVALID.*DROP" would come$/,
    /^replaced set cali40s:g_TM4cHGncRYRKupcms5_3m: .* for 198\.51\.100\.7\/32, which would go$/,
  ];
  for (const pattern of expected) {
    assert.ok(
      told.some((line) => pattern.test(line)),
      `${pattern} in:\n${told.join("\n")}`,
    );
  }
  assert.equal(told.length, expected.length, told.join("\n"));
});

test("felix then changes what the check has said, and nothing else", async () => {
  // felix spares it for ten seconds, as the interface is new to it.
  node.run("ip", "route", "del", "10.78.0.0/24");
  const found = report();
  const before = kernelState();
  await node.start();
  await waitFor(() => report().verdict === "safe", { what: "a node that is as it should be" });
  assert.deepEqual(changedChains(before, kernelState()), saidChains(found));
  const routesOf = (state: string) => new Set(state.match(/^(blackhole )?10\.(?!.*lladdr).*$/gm));
  const changed = routesOf(before).symmetricDifference(routesOf(kernelState()));
  const destinations = [...changed].map((line) => /10\.[\d./]+/.exec(line)?.[0] ?? line);
  const said = areaOf(found, "routes of felix").findings.map(
    ({ what }) => /10\.[\d./]+/.exec(what)?.[0] ?? what,
  );
  assert.deepEqual(new Set(destinations), new Set(said));
  assert.match(node.run("ip", "link", "show", "vxlan.calico"), /66:f9:37:c3:7e:94/);
  assert.doesNotMatch(node.run("ipset", "list"), /198\.51\.100\.7/);
});

/** "TABLE CHAIN" of chains whose rules are others, those of the kernel among them. */
function changedChains(before: string, now: string): string[] {
  const [old, next] = [chainsOf(before), chainsOf(now)];
  const names = new Set([...old.keys(), ...next.keys()]);
  return [...names].filter((name) => old.get(name) !== next.get(name)).sort();
}

function chainsOf(state: string): Map<string, string> {
  const chains = new Map<string, string>();
  let table = "";
  for (const line of state.split("\n")) {
    table = /^\*(\w+)/.exec(line)?.[1] ?? table;
    const chain = /^(?::|-A )([\w.-]+) /.exec(line)?.[1];
    if (chain === undefined) continue;
    const key = `${table} ${chain}`;
    chains.set(key, `${chains.get(key) ?? ""}${line}\n`);
  }
  return chains;
}

function saidChains({ areas }: Report): string[] {
  return areas
    .flatMap(({ name, findings }) => {
      const table = /^iptables nft IPv4 (\w+)$/.exec(name)?.[1];
      if (table === undefined) return [];
      return findings.map(
        ({ what }) => `${table} ${what.replace(/^(?:chain|rules of felix in) (\S+).*/, "$1")}`,
      );
    })
    .sort();
}

test("every form in which felix writes a rule is known again in what iptables-save shows", () => {
  using netns = new TestNetns("forms");
  netns.run("ipset", ["create", "cali40s:x", "hash:net"]);
  netns.run("ipset", ["create", "cali40n:x", "hash:ip,port"]);
  const features = { snatFullyRandom: true, masqFullyRandom: true, restoreWait: true };
  for (const backend of ["nft", "legacy"]) {
    for (const [table, rules] of Object.entries(ruleForms)) {
      const { bodies } = renderChain({ name: "cali-forms", rules }, features);
      const lines = bodies.map((body) => `-A cali-forms ${body}`);
      const text = `*${table}\n:cali-forms - [0:0]\n${lines.join("\n")}\nCOMMIT\n`;
      netns.run(`iptables-${backend}-restore`, ["--noflush"], text);
      const saved = parseSave(
        netns.run(`iptables-${backend}-save`, ["-t", table]),
        table as TableName,
      );
      const shown = saved.chains.get("cali-forms") ?? [];
      assert.deepEqual(
        shown.map(({ body }) => canonicalRule(body)),
        bodies.map(canonicalRule),
        `${backend} ${table}`,
      );
    }
  }
});

const tcp: Match = { kind: "protocol", protocol: "tcp" };
const udp: Match = { kind: "protocol", protocol: 17 };
const drop: Action = { kind: "drop" };
const ports = [
  { first: 80, last: 80 },
  { first: 8000, last: 8100 },
];

/** Each match and each action of the model, by the table that takes it. */
const ruleForms: Readonly<Record<string, readonly Rule[]>> = {
  filter: [
    { match: [{ kind: "mark", value: 0, mask: 0x20000 }], action: { kind: "return" } },
    {
      match: [{ kind: "mark", value: 0x10000, mask: 0x10000, not: true }],
      action: { kind: "accept" },
    },
    { match: [{ kind: "interface", direction: "in", name: "cali", prefix: true }], action: drop },
    { match: [{ kind: "interface", direction: "out", name: "eth0" }], action: drop },
    { match: [{ kind: "protocol", protocol: "sctp", not: true }], action: drop },
    { match: [{ kind: "protocol", protocol: 4 }], action: drop },
    { match: [{ kind: "net", side: "source", net: parseIpAddr("10.0.0.1") }], action: drop },
    {
      match: [{ kind: "net", side: "destination", net: parsePrefix("10.0.0.0/8"), not: true }],
      action: drop,
    },
    { match: [{ kind: "ipSet", side: "source", set: "cali40s:x" }], action: drop },
    {
      match: [{ kind: "ipSet", side: "destination", set: "cali40n:x", withPort: true, not: true }],
      action: drop,
    },
    { match: [tcp, { kind: "ports", side: "destination", ports }], action: drop },
    { match: [udp, { kind: "ports", side: "source", ports, not: true }], action: drop },
    { match: [udp, { kind: "destinationPort", port: 4789 }], action: drop },
    { match: [{ kind: "conntrackState", states: ["RELATED", "ESTABLISHED"] }], action: drop },
    { match: [{ kind: "conntrackState", states: ["DNAT"], not: true }], action: drop },
    { match: [{ kind: "localAddress", side: "destination" }], action: drop },
    {
      match: [
        { kind: "protocol", protocol: "icmp" },
        { kind: "icmp", family: 4, type: 8, code: 0 },
      ],
      action: drop,
    },
    { match: [{ kind: "limit", rate: "10/minute", burst: 5 }], action: drop },
    { match: [{ kind: "limit", rate: "7/second", burst: 20 }], action: drop },
    {
      match: [{ kind: "tcpSyn" }, { kind: "connectionsAbove", count: 10 }],
      action: { kind: "tcpReset" },
    },
    { match: [], action: { kind: "reject" } },
    { match: [], action: { kind: "setMark", value: 0x10000, mask: 0x10000 } },
    { match: [], action: { kind: "clearMark", mask: 0x30000 } },
    { match: [], action: { kind: "log", prefix: "calico-packet" } },
    { match: [], action: { kind: "nflog", group: 1, prefix: "D|0|x" } },
    { match: [], comments: ["-j ACCEPT, or not"], action: drop },
  ],
  raw: [
    { match: [{ kind: "reversePathFailed" }], action: drop },
    { match: [], action: { kind: "noTrack" } },
  ],
  mangle: [{ match: [], action: { kind: "dscp", value: 46 } }],
};

test("a datastore that is not there gives no verdict", () => {
  const env = { PATH: process.env["PATH"] ?? "", NODENAME: "node1", DATASTORE_TYPE: "embedded" };
  const path = join(node.folder, "nowhere");
  const { status, stderr } = spawnSync(tortie, ["takeover", "check"], {
    env: { ...env, TORTIE_DATASTORE_PATH: path },
    encoding: "utf8",
  });
  assert.equal(status, 2);
  assert.match(stderr, /nowhere/);
});
