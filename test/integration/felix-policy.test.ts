import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { keyOf } from "../../src/api/resource-key.ts";
import type { GlobalNetworkPolicySpec, NetworkPolicySpec } from "../../src/api/resources/policy.ts";
import type { Rule } from "../../src/api/resources/rule.ts";
import {
  allowFrom,
  endpointSlice,
  globalPolicy,
  hostEndpoint,
  networkSet,
  node,
  policy,
  pool,
  profile,
} from "../states/resources.ts";
import { waitFor } from "../support/wait-for.ts";
import { FelixNode, inside, pings, podEndpoint } from "./felix-node.ts";

/** What packets may and may not pass, by the policy features that a packet can tell apart. */

const felix = new FelixNode("fp", {
  FELIX_FLOATINGIPS: "Enabled",
  FELIX_WORKLOADSOURCESPOOFING: "Any",
});
const { datastore } = felix;
const servers: ChildProcess[] = [];
let netnsA = "";
let netnsB = "";

/** Waits for the answer to be this one: what was written takes a moment to reach the kernel. */
async function becomes(what: string, want: boolean, answer: () => Promise<boolean>): Promise<void> {
  await waitFor(async () => (await answer()) === want, { what });
}

/** For an answer. One that is late is asked for again; none is what most of this file waits for. */
const patienceSeconds = 0.4;

/** True when a TCP connection from the namespace is accepted in time. */
function connects(netns: string, address: string, port: number): Promise<boolean> {
  const connect = [
    "timeout",
    `${patienceSeconds}`,
    "bash",
    "-c",
    `exec 3<>/dev/tcp/${address}/${port}`,
  ];
  return new Promise((resolve) => {
    const child = spawn("ip", ["netns", "exec", netns, ...connect], { stdio: "ignore" });
    child.once("exit", (code) => resolve(code === 0));
  });
}

/** Accepts TCP connections to these ports in the namespace, until the test ends. */
async function listen(netns: string, ...ports: readonly number[]): Promise<void> {
  const program = `for (const port of [${ports}]) require("net").createServer((one) => one.on("error", () => 0).pipe(one)).listen(port)`;
  const server = ["netns", "exec", netns, process.execPath, "-e", program];
  const child = spawn("ip", server, { stdio: "ignore" });
  servers.push(child);
  const listening = () => inside(netns, "ss", ["-Hltn"]).trim().split("\n").length;
  await waitFor(() => listening() === ports.length, { what: "the listener" });
}

before(async () => {
  netnsA = felix.addPod("a", "10.0.0.1", "02:00:00:00:00:01");
  netnsB = felix.addPod("b", "10.0.0.2", "02:00:00:00:00:02");
  const resources = [
    node("node-a", "192.168.1.11/24"),
    pool("default", "10.0.0.0/16"),
    profile("kns.prod"),
    podEndpoint("a", "10.0.0.1"),
    podEndpoint("b", "10.0.0.2", { ipNATs: [{ internalIP: "10.0.0.2", externalIP: "192.0.2.2" }] }),
  ];
  await felix.create(...resources);
  felix.addOutside("192.168.1.1/24");
  inside(felix.outside, "ip", ["route", "add", "10.0.0.0/16", "via", "192.168.1.11"]);
  await listen(netnsB, 80, 81);
  await listen(felix.netns, 8080, 2379);
  await felix.start();
});
after(async () => {
  for (const server of servers) server.kill("SIGKILL");
  await felix.close();
});

test("a network set's addresses are let in while its labels match", async () => {
  const set = networkSet("friends", ["10.0.0.0/30"], {
    namespace: "prod",
    labels: { role: "friend" },
  });
  const friends = policy("friends", {
    selector: "app == 'b'",
    ...allowFrom({ selector: "role == 'friend'" }),
  });
  const reaches = () => pings(netnsA, "10.0.0.2", patienceSeconds);
  await felix.create(friends);
  await becomes("the policy", false, reaches);
  await felix.create(set);
  await becomes("the set", true, reaches);
  await felix.remove(set);
  await becomes("the end of the set", false, reaches);
  const inherits = policy("inherits", {
    selector: "app == 'b'",
    ...allowFrom({ namespaceSelector: "env == 'production'" }),
  });
  await felix.create(inherits);
  await becomes("the labels of the namespace", true, reaches);
  await felix.remove(friends);
  await felix.remove(inherits);
});

test("a service's ports are reached, and no others, as its endpoints come and go", async () => {
  const toWeb = policy("to-web", {
    selector: "app == 'a'",
    types: ["Egress"],
    egress: [{ action: "Allow", destination: { services: { name: "web" } } }],
  });
  const slice = endpointSlice("web-1", "prod/web", {
    addresses: ["10.0.0.2"],
    ports: [{ name: "http", protocol: "TCP", port: 80 }],
  });
  const web = () => connects(netnsA, "10.0.0.2", 80);
  await becomes("the profile", true, web);
  await felix.create(toWeb);
  await becomes("the policy", false, web);
  await felix.create(slice);
  await becomes("the endpoint", true, web);
  assert.equal(await connects(netnsA, "10.0.0.2", 81), false, "no port of the service");
  await felix.remove(slice);
  await becomes("the end of the endpoint", false, web);
  await felix.remove(toWeb);
  await becomes("the end of the policy", true, web);
});

test("a connection lives through every change that does not forbid it, and a restart", async () => {
  const client = `const one = require("net").connect(80, "10.0.0.2"); setInterval(() => one.write("."), 20);
    one.on("data", () => console.log("echo")); one.on("close", () => process.exit(1))`;
  const args = ["netns", "exec", netnsA, process.execPath, "-e", client];
  const child = spawn("ip", args, { stdio: ["ignore", "pipe", "ignore"] });
  servers.push(child);
  let echoes = 0;
  child.stdout?.on("data", () => echoes++);
  const goesOn = async (what: string) => {
    const before = echoes;
    await waitFor(() => echoes > before + 2, { what: `an echo after ${what}` });
    assert.equal(child.exitCode, null, what);
  };
  await goesOn("the beginning");
  const fromA = (port: number): NetworkPolicySpec => ({
    selector: "app == 'b'",
    types: ["Ingress"],
    ingress: [
      { ...allowTcp(port), source: { selector: "app == 'a'" } },
      { ...allowTcp(80), source: { selector: "has(app)" } },
    ],
  });
  const web = () => connects(netnsA, "10.0.0.2", 80);
  const allowed = policy("from-a", fromA(80));
  await felix.create(allowed);
  await becomes("the policy", false, () => connects(netnsA, "10.0.0.2", 81));
  await goesOn("a policy");
  const present = await datastore.get<"NetworkPolicy">(keyOf(allowed));
  await datastore.update<"NetworkPolicy">({ ...present, spec: fromA(81) });
  await becomes("another port", true, () => connects(netnsA, "10.0.0.2", 81));
  await goesOn("a changed rule and set");
  await felix.stop("SIGKILL");
  await goesOn("a kill");
  await felix.start();
  assert.equal(await web(), true);
  await goesOn("a restart");
  await felix.remove(allowed);
  await becomes("the end of the policy", true, () => connects(netnsA, "10.0.0.2", 81));
  await goesOn("the end of a policy");
  child.kill("SIGKILL");
});

test("a floating address leads to its pod, also the pod itself", async () => {
  for (const netns of [netnsA, netnsB]) {
    await becomes("the floating address", true, () => connects(netns, "192.0.2.2", 80));
  }
});

test("a pod sends from what its prefixes allow, and from nothing else of others", async () => {
  inside(netnsA, "ip", ["address", "add", "203.0.113.9/32", "dev", "lo"]);
  const passes = async () => {
    const from = ["-I", "203.0.113.9", "-c", "1", "-W", "0.1", "10.0.0.2"];
    await new Promise((resolve) => {
      spawn("ip", ["netns", "exec", netnsA, "ping", ...from], { stdio: "ignore" }).once(
        "exit",
        resolve,
      );
    });
    // A packet that the raw table drops is never tracked.
    return felix.run("conntrack", "-L", "--orig-src", "203.0.113.9") !== "";
  };
  assert.equal(await passes(), false, "a foreign address");
  const key = keyOf(podEndpoint("a", "10.0.0.1"));
  const allow = async (...allowSpoofedSourcePrefixes: string[]) => {
    const endpoint = await datastore.get<"WorkloadEndpoint">(key);
    const spec = { ...endpoint.spec, allowSpoofedSourcePrefixes };
    await datastore.update<"WorkloadEndpoint">({ ...endpoint, spec });
  };
  await allow("203.0.113.0/24");
  await becomes("the allowed prefix", true, passes);
  assert.equal(felix.run("cat", "/proc/sys/net/ipv4/conf/calia/rp_filter").trim(), "0");
  const dropped = () =>
    Number(/^\[(\d+):.*--invert.* DROP$/m.exec(felix.run("iptables-save", "-c", "-t", "raw"))?.[1]);
  const before = dropped();
  await allow("203.0.113.128/25");
  await becomes("the end of the allowed prefix", true, async () => {
    await passes();
    return dropped() > before;
  });
});

test("a host endpoint's policies meet what is for the host, what is forwarded and what is not tracked", async () => {
  const host = hostEndpoint("cali-other", { interfaceName: "eth0", labels: { role: "host" } });
  const toHost = (port: number) => connects(felix.outside, "192.168.1.11", port);
  const toPod = () => connects(felix.outside, "10.0.0.2", 80);
  await becomes("the host's port", true, () => toHost(8080));
  await becomes("the pod's port", true, toPod);
  await felix.create(host);
  await becomes("the host endpoint without policy", false, () => toHost(8080));
  assert.equal(await toHost(2379), true, "a failsafe port");
  assert.equal(await toPod(), true, "what is forwarded, when no policy asks");
  const steps: readonly (readonly [string, GlobalNetworkPolicySpec, () => Promise<boolean>])[] = [
    ["a normal policy", { ingress: [allowTcp(8080)] }, () => toHost(8080)],
    [
      "an untracked policy",
      {
        doNotTrack: true,
        applyOnForward: true,
        ingress: [allowTcp(8080)],
        egress: [{ action: "Allow", protocol: "TCP", source: { ports: [8080] } }],
      },
      () => toHost(8080),
    ],
    [
      "a policy before DNAT",
      { preDNAT: true, applyOnForward: true, ingress: [allowTcp(8080)] },
      () => toHost(8080),
    ],
  ];
  for (const [what, spec, reaches] of steps) {
    const allow = globalPolicy("host", { selector: "role == 'host'", ...spec });
    await felix.create(allow);
    await becomes(what, true, reaches);
    await felix.remove(allow);
    await becomes(`the end of ${what}`, false, reaches);
  }
  const forward = globalPolicy("forward", {
    selector: "role == 'host'",
    applyOnForward: true,
    ingress: [allowTcp(81)],
  });
  await felix.create(forward);
  await becomes("a policy on forward", false, toPod);
  assert.equal(await connects(felix.outside, "10.0.0.2", 81), true, "what it allows");
  await felix.remove(forward);
  await felix.remove(host);
  await becomes("the end of the host endpoint", true, () => toHost(8080));
});

function allowTcp(port: number): Rule {
  return { action: "Allow", protocol: "TCP", destination: { ports: [port] } };
}
