import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import type { NetworkPolicySpec } from "../../src/api/resources/policy.ts";
import { readHealth } from "../../src/felix/health/felix-health.ts";
import { closeNetns, inNetns, openNetns } from "../../src/kernel/netns.ts";
import { type NftGeneration, openNftGeneration } from "../../src/kernel/nft-generation.ts";
import { allowFrom, block, node, policy, pool, profile } from "../states/resources.ts";
import { SteadyPing } from "../support/steady-ping.ts";
import { waitFor } from "../support/wait-for.ts";
import { FelixNode, pings, podEndpoint } from "./felix-node.ts";

/** The real `tortie felix` in a namespace: what it puts into the kernel, and how it keeps it there. */

const felix = new FelixNode("fx");
const { datastore } = felix;
const podA = podEndpoint("a", "10.0.0.1");
const podB = podEndpoint("b", "10.0.0.2");
let netnsA = "";

const routes = () => felix.run("ip", "route", "show", "table", "main");
const filter = () => felix.run("iptables-nft-save", "-t", "filter");
const until = (what: string, condition: () => boolean) => waitFor(condition, { what });

before(async () => {
  netnsA = felix.addPod("a", "10.0.0.1", "02:00:00:00:00:01");
  felix.addPod("b", "10.0.0.2", "02:00:00:00:00:02");
  const resources = [
    node("node-a", "192.168.1.11/24", { ipv4VXLANTunnelAddr: "10.0.0.0" }),
    node("node-b", "192.168.1.12/24", { ipv4VXLANTunnelAddr: "10.0.0.8" }),
    node("node-c", "192.168.2.13/24", { ipv4VXLANTunnelAddr: "10.0.0.16" }),
    pool("default", "10.0.0.0/16", { vxlanMode: "CrossSubnet" }),
    block("10.0.0.0/29", "node-a", { 0: "node-a", 1: "node-a", 2: "node-a" }),
    block("10.0.0.8/29", "node-b", { 0: "node-b" }),
    block("10.0.0.16/29", "node-c", { 0: "node-c" }),
    profile("kns.prod"),
    podA,
    podB,
  ];
  await felix.create(...resources);
  await felix.start();
});
after(() => felix.close());

test("the main table holds Calico's routes, and nothing else of ours", () => {
  assert.deepEqual(routes().trim().split(/ *\n/).sort(), [
    "10.0.0.1 dev calia scope link metric 1024",
    "10.0.0.16/29 via 10.0.0.16 dev vxlan.calico onlink",
    "10.0.0.2 dev calib scope link metric 1024",
    "10.0.0.8/29 via 192.168.1.12 dev eth0 proto 80 onlink",
    "192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.11",
    "blackhole 10.0.0.0/29 proto 80",
    "default via 192.168.1.1 dev eth0",
  ]);
});

test("the tunnel device is Calico's, with what is behind it", () => {
  const link = felix.run("ip", "-d", "link", "show", "vxlan.calico");
  assert.match(link, /mtu 1450 .*state UNKNOWN/);
  assert.match(link, /vxlan id 4096 local 192\.168\.1\.11 dev eth0 .*dstport 4789 nolearning/);
  assert.match(link, /link\/ether 66:07:02:c1:cc:60/);
  assert.match(felix.run("ip", "-4", "addr", "show", "vxlan.calico"), /inet 10\.0\.0\.0\/32/);
  const neighbors = felix.run("ip", "neigh", "show", "dev", "vxlan.calico", "nud", "permanent");
  assert.match(neighbors, /^10\.0\.0\.16 lladdr 66:\S+ PERMANENT/m);
  assert.match(
    felix.run("bridge", "fdb", "show", "dev", "vxlan.calico"),
    /dst 192\.168\.2\.13 self/,
  );
});

test("a pod's interface has its neighbor and sysctls, and its status file is written", () => {
  const neighbors = felix.run("ip", "neigh", "show", "dev", "calia", "nud", "permanent");
  assert.match(neighbors, /^10\.0\.0\.1 lladdr 02:00:00:00:00:01 PERMANENT/m);
  const sysctl = (path: string) => felix.run("cat", `/proc/sys/net/${path}`).trim();
  assert.equal(sysctl("ipv4/conf/calia/proxy_arp"), "1");
  assert.equal(sysctl("ipv4/neigh/calia/proxy_delay"), "0");
  assert.equal(sysctl("ipv6/conf/calia/accept_ra"), "0");
  assert.ok(existsSync(join(felix.folder, "endpoint-status", "k8s prod%2Fa eth0")));
});

test("policy is enforced between two pods as it changes", async () => {
  assert.equal(await pings(netnsA, "10.0.0.2"), true, "the profile allows");
  const deny = policy("b-only-from-c", {
    selector: "app == 'b'",
    ...allowFrom({ selector: "app == 'c'" }),
  });
  await felix.create(deny);
  await until("the policy", () => filter().includes("prod/b-only-from-c"));
  assert.equal(await pings(netnsA, "10.0.0.2"), false, "no rule allows");
  const relabelled = await datastore.get({
    kind: "WorkloadEndpoint",
    name: podA.metadata.name,
    namespace: "prod",
  });
  const { metadata } = relabelled;
  await datastore.update<"WorkloadEndpoint">({
    ...relabelled,
    metadata: { ...metadata, labels: { ...metadata.labels, app: "c" } },
  });
  await waitFor(() => pings(netnsA, "10.0.0.2"), { what: "the set's member" });
  await datastore.delete({ kind: "NetworkPolicy", name: deny.metadata.name, namespace: "prod" });
  await until("the end of the chain", () => !filter().includes("b-only-from-c"));
  await until("the end of the set", () => !sets().some((set) => set.startsWith("cali40s:")));
});

test("a change of FelixConfiguration acts in the same process, and no packet is lost", async () => {
  const { pid } = felix;
  const ping = new SteadyPing("pod to pod", netnsA, "10.0.0.2");
  await ping.answers();
  const spec = { defaultEndpointToHostAction: "Accept", ipForwarding: "Enabled" };
  const { apiVersion } = podA;
  const metadata = { name: "default" };
  await felix.create({ apiVersion, kind: "FelixConfiguration", metadata, spec } as AnyResource);
  await until("the rule", () =>
    /-A cali-wl-to-host .*DefaultEndpointToHostAction" -j ACCEPT/.test(filter()),
  );
  await datastore.delete({ kind: "FelixConfiguration", name: "default" });
  await until("the default", () =>
    /-A cali-wl-to-host .*DefaultEndpointToHostAction" -j DROP/.test(filter()),
  );
  assert.equal(felix.pid, pid);
  assert.deepEqual(await ping.lost(), []);
});

test("felix says how its parts are, and tells Prometheus when it is asked to", async () => {
  const file = join(felix.folder, "felix-health.json");
  const well = { live: true, ready: true, reason: "" };
  const parts = () => readHealth(file, felix.pid ?? 0, Date.now());
  const both = { CalculationGraph: well, InternalDataplaneMainLoop: well };
  await until("health", () => isDeepStrictEqual(parts(), both));
  const spec = { prometheusMetricsEnabled: true, prometheusMetricsHost: "127.0.0.1" };
  const metadata = { name: "default" };
  const { apiVersion } = podA;
  felix.run("ip", "link", "set", "lo", "up");
  await felix.create({ apiVersion, kind: "FelixConfiguration", metadata, spec } as AnyResource);
  const ask =
    "fetch('http://127.0.0.1:9091/metrics').then(async (r) => console.log(await r.text()), () => undefined)";
  let text = "";
  await until("metrics", () => {
    text = felix.run(process.execPath, "-e", ask);
    // Another configuration is another felix: it knows of the pods before it has written its rules.
    return /^felix_iptables_rules\{ip_version="4",table="filter"\} \d\d+$/m.test(text);
  });
  assert.match(text, /^felix_active_local_endpoints 2$/m);
  assert.match(text, /^felix_resync_state 3$/m);
  await datastore.delete({ kind: "FelixConfiguration", name: "default" });
});

function sets(): string[] {
  return felix.run("ipset", "list", "-name").trim().split("\n");
}

const drifts: readonly (readonly [string, readonly string[], () => boolean])[] = [
  [
    "a pod's route that was deleted",
    ["ip", "route", "del", "10.0.0.1"],
    () => routes().includes("10.0.0.1 dev calia"),
  ],
  [
    "a pod's route that was led elsewhere",
    ["ip", "route", "replace", "10.0.0.1", "dev", "calib", "scope", "link", "metric", "1024"],
    () => routes().includes("10.0.0.1 dev calia"),
  ],
  [
    "a foreign route of ours by number",
    ["ip", "route", "add", "203.0.113.0/24", "dev", "eth0", "proto", "80"],
    () => !routes().includes("203.0.113.0/24"),
  ],
  [
    "a pod's neighbor that was deleted",
    ["ip", "neigh", "del", "10.0.0.1", "dev", "calia"],
    () => felix.run("ip", "neigh", "show", "dev", "calia").includes("PERMANENT"),
  ],
  [
    "a tunnel device that was deleted",
    ["ip", "link", "del", "vxlan.calico"],
    () => routes().includes("10.0.0.16/29 via 10.0.0.16 dev vxlan.calico"),
  ],
  [
    "a tunnel device that was set down",
    ["ip", "link", "set", "vxlan.calico", "down"],
    () => routes().includes("10.0.0.16/29 via 10.0.0.16 dev vxlan.calico"),
  ],
  [
    "a tunnel address that was deleted",
    ["ip", "addr", "del", "10.0.0.0/32", "dev", "vxlan.calico"],
    () => felix.run("ip", "addr", "show", "vxlan.calico").includes("10.0.0.0/32"),
  ],
  [
    "a forwarding entry that was deleted",
    [
      "sh",
      "-c",
      "bridge fdb show dev vxlan.calico | while read mac rest; do bridge fdb del $mac dev vxlan.calico; done",
    ],
    () => felix.run("bridge", "fdb", "show", "dev", "vxlan.calico").includes("dst 192.168.2.13"),
  ],
  [
    "a chain that was emptied",
    ["iptables-nft", "-F", "cali-FORWARD"],
    () => filter().includes("-A cali-FORWARD"),
  ],
  [
    "a kernel chain that lost its jump to ours",
    ["iptables-nft", "-F", "FORWARD"],
    () => filter().includes("-j cali-FORWARD"),
  ],
];

for (const [what, [program = "", ...args], repaired] of drifts) {
  test(`${what} is repaired when the kernel tells of it`, async () => {
    assert.equal(repaired(), true, "right before");
    felix.run(program, ...args);
    await until(what, repaired);
  });
}

test("routes of a parent that went down and up are there again", async () => {
  felix.run("ip", "link", "set", "eth0", "down");
  await delay(100);
  felix.run("ip", "link", "set", "eth0", "up");
  felix.run("ip", "route", "add", "default", "via", "192.168.1.1");
  await until("the route", () => routes().includes("10.0.0.8/29 via 192.168.1.12 dev eth0"));
});

test("rules of others, written all the time, and ours keep out of each other's way", async () => {
  felix.run("iptables-nft", "-N", "KUBE-FORWARD");
  felix.run("iptables-nft", "-I", "FORWARD", "-j", "KUBE-FORWARD");
  const rule = (number: number) => `-A KUBE-FORWARD -s 198.51.100.${number}/32 -j DROP`;
  const meddler = felix.repeat("iptables-nft-restore", ["--noflush"], (round) => {
    const lines = [":KUBE-FORWARD - [0:0]", rule(round % 250), rule(250)];
    return `*filter\n${lines.join("\n")}\nCOMMIT\n`;
  });
  const port = (number: number): NetworkPolicySpec => ({
    selector: "app == 'b'",
    types: ["Ingress"],
    ingress: [{ action: "Allow", protocol: "TCP", destination: { ports: [number] } }],
  });
  const key = { kind: "NetworkPolicy", name: "changing", namespace: "prod" } as const;
  let rounds = 0;
  try {
    await felix.create(policy("changing", port(1000)));
    for (let number = 1001; number <= 1010; number++) {
      const present = await datastore.get(key);
      await datastore.update<"NetworkPolicy">({ ...present, spec: port(number) });
      await until(`port ${number}`, () => filter().includes(`--dports ${number} `));
    }
  } finally {
    rounds = await meddler.stop();
  }
  assert.ok(rounds > 0, "it wrote");
  const lines = filter().split("\n");
  assert.deepEqual(
    lines.filter((line) => line.startsWith("-A KUBE-FORWARD")),
    [rule((rounds - 1) % 250), rule(250)],
  );
  assert.deepEqual(
    lines.filter((line) => line.startsWith("-A FORWARD")).map((line) => line.replace(/.*-j /, "")),
    ["cali-FORWARD", "KUBE-FORWARD", "ACCEPT", "MARK --set-xmark 0x10000/0x10000"],
  );
  await datastore.delete(key);
  const ofBoth = () => filter() + felix.run("ip6tables-nft-save", "-t", "filter");
  await until("the end of its chains", () => !ofBoth().includes("prod/changing"));
});

test("a fresh process after kill -9 finds all as it must be, and changes nothing", async () => {
  const generation = openGeneration();
  const state = () => [routes(), felix.run("iptables-nft-save"), felix.run("ipset", "save")];
  await felix.stop("SIGKILL");
  const before = state();
  const written = await generation.read();
  const monitor = spawn("ip", [
    "netns",
    "exec",
    felix.netns,
    "ip",
    "monitor",
    "link",
    "address",
    "route",
    "neigh",
  ]);
  let events = "";
  monitor.stdout.on("data", (piece: Buffer) => {
    events += piece.toString();
  });
  await delay(200);
  await felix.start();
  await delay(200);
  monitor.kill();
  assert.equal(
    events
      .split("\n")
      .filter((line) => !/STALE|REACHABLE|DELAY|PROBE|FAILED|INCOMPLETE/.test(line))
      .join("\n"),
    "",
  );
  const timeless = (text: string) => text.replaceAll(/^#.*$|\[\d+:\d+\]/gm, "");
  assert.deepEqual(state().map(timeless), before.map(timeless));
  assert.equal(await generation.read(), written, "no chain was written");
});

function openGeneration(): NftGeneration {
  const netns = openNetns(`/run/netns/${felix.netns}`);
  try {
    return inNetns(netns, openNftGeneration);
  } finally {
    closeNetns(netns);
  }
}

test("a fresh process removes what an earlier one left and nobody wants", async () => {
  await felix.stop("SIGKILL");
  felix.run("ip", "route", "add", "blackhole", "10.0.0.64/29", "proto", "80");
  felix.run("ipset", "create", "cali40s:left-over", "hash:net");
  felix.run("iptables-nft", "-N", "cali-tw-gone");
  await datastore.delete({ kind: "WorkloadEndpoint", name: podB.metadata.name, namespace: "prod" });
  await felix.start();
  assert.doesNotMatch(routes(), /10\.0\.0\.64/);
  assert.doesNotMatch(filter(), /cali-tw-gone|cali-tw-calib/);
  await until("the end of the set", () => !sets().includes("cali40s:left-over"));
  assert.equal(await pings(netnsA, "10.0.0.2"), false, "a pod that nobody knows");
});

test("what a deleted pod had goes", async () => {
  assert.ok(existsSync(join(felix.folder, "endpoint-status", "k8s prod%2Fa eth0")));
  const tracked = () => felix.run("conntrack", "-L", "--orig-src", "10.0.0.1");
  const isTracked = async () => {
    await pings(netnsA, "192.168.1.11");
    return tracked().includes("src=10.0.0.1");
  };
  await waitFor(isTracked, { timeoutMs: 20_000, what: "a connection of the pod's" });
  felix.run("ip", "link", "del", "calia");
  await datastore.delete({ kind: "WorkloadEndpoint", name: podA.metadata.name, namespace: "prod" });
  await until("the end of the chain", () => !filter().includes("calia"));
  assert.doesNotMatch(routes(), /calia/);
  // They would end by themselves after 30 s.
  await waitFor(() => tracked() === "", { timeoutMs: 20_000, what: "the end of its connections" });
  await until(
    "the end of the status file",
    () => !existsSync(join(felix.folder, "endpoint-status", "k8s prod%2Fa eth0")),
  );
});
