import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { LabStatus } from "../../src/lab/lab-status.ts";
import { parseIpAddr } from "../../src/lib/ip-addr.ts";
import { processIdentity } from "../../src/lib/own-process.ts";
import { parsePrefix, prefixHasAddress } from "../../src/lib/prefix.ts";
import { Background, TestLab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";

/** The default lab: three nodes on two segments, VXLAN between segments. */

const lab = new TestLab("v");
let status: LabStatus;

before(async () => {
  await lab.mustLab("up", "--json");
  status = await lab.status();
});
after(() => lab.down());

function node(name: string) {
  const found = status.nodes.find((candidate) => candidate.name === name);
  assert.ok(found, `${name} is there`);
  return found;
}

function pod(on: string, name: string) {
  const found = status.pods.find((candidate) => candidate.node === on && candidate.name === name);
  assert.ok(found, `${on}/${name} is there`);
  return { ...found, address: found.addresses[0] ?? "" };
}

test("each pod's address lies in a /26 of its node, and every session is up", () => {
  assert.equal(status.nodes.length, 3);
  assert.equal(status.pods.length, 6);
  for (const { name, blocks, peers } of status.nodes) {
    assert.ok(blocks.every((block) => block.endsWith("/26")) && blocks.length > 0, name);
    assert.deepEqual(
      peers.map(({ state }) => state),
      ["Established", "Established"],
    );
  }
  for (const { node: on, addresses } of status.pods) {
    const [address = ""] = addresses;
    assert.ok(
      node(on).blocks.some((block) => prefixHasAddress(parsePrefix(block), parseIpAddr(address))),
      `${address} in ${node(on).blocks}`,
    );
  }
});

test("blocks of the same segment go by the node's address, others by vxlan.calico; the router knows none", async () => {
  const routes = await lab.inside(node("node1").netns, "ip", "route");
  const [same] = node("node2").blocks;
  const [other] = node("node3").blocks;
  assert.match(routes, new RegExp(`^${same} via ${node("node2").address} dev eth0`, "m"));
  assert.match(routes, new RegExp(`^${other} via \\S+ dev vxlan.calico`, "m"));
  assert.doesNotMatch(await lab.inside(status.router, "ip", "route"), /10\.244\./);
});

test("everybody reaches every pod, pods by their own address", async () => {
  const { flows, mismatches } = await lab.check();
  assert.deepEqual(mismatches, []);
  assert.ok(flows.every(({ reached }) => reached));
  for (const { from, seenAs } of flows) {
    const [on = "", name = ""] = from.split("/");
    if (name !== "" && seenAs !== undefined) assert.equal(seenAs, pod(on, name).address);
  }
});

test("UDP 4789 crosses the router between segments, and never within one", async () => {
  const capture = async (from: string, to: string) => {
    const dump = new Background(status.router, "tcpdump", "-lni", "any", "udp port 4789");
    await waitFor(() => dump.output.includes("listening"), { what: "tcpdump" });
    await lab.inside(pod(from, "pod1").netns, "ping", "-c3", "-i0.2", pod(to, "pod1").address);
    await delay(300);
    const text = await dump.stop();
    return text.split("\n").filter((line) => line.includes(".4789")).length;
  };
  assert.ok((await capture("node1", "node3")) >= 6);
  assert.equal(await capture("node1", "node2"), 0);
});

test("a pod reaches what is behind the router by its node's address (natOutgoing)", async () => {
  const outside = "203.0.113.10";
  const dump = new Background(status.router, "tcpdump", "-lni", "any", `icmp and dst ${outside}`);
  await waitFor(() => dump.output.includes("listening"), { what: "tcpdump" });
  await lab.inside(pod("node1", "pod1").netns, "ping", "-c2", "-i0.2", outside);
  await delay(200);
  const text = await dump.stop();
  assert.match(text, new RegExp(`${node("node1").address} > ${outside}`));
  assert.doesNotMatch(text, /10\.244\.\d+\.\d+ > 203/);
});

const denyAndAllow = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: default}
spec: {podSelector: {}, policyTypes: [Ingress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: allow-web, namespace: default}
spec:
  podSelector: {}
  ingress:
    - from: [{podSelector: {matchLabels: {app: client}}}]
      ports: [{port: 80}]
`;

test("a NetworkPolicy bites, is shown by the name the user wrote, and goes again", async () => {
  await lab.apply(denyAndAllow);
  const { flows, mismatches } = await lab.check();
  assert.deepEqual(mismatches, []);
  const verdict = (from: string, protocol: string) =>
    flows.find((f) => f.from === from && f.to === "node3/pod2" && f.protocol === protocol)?.reached;
  assert.equal(verdict("node1/pod1", "TCP"), true);
  assert.equal(verdict("node1/pod1", "ICMP"), false);
  assert.equal(verdict("node1/pod2", "TCP"), false);

  const { netns } = node("node1");
  const rules = await lab.inside(netns, "iptables-save");
  assert.match(rules, /-A cali-to-wl-dispatch .*--comment "cali:[\w-]{16}"/);
  assert.match(
    await lab.inside(netns, "ipset", "list", "-name"),
    /cali40s:g_TM4cHGncRYRKupcms5_3m/,
  );
  const shown = (await lab.cli(["get", "networkpolicy.networking.k8s.io", "-n", "default"])).stdout;
  assert.match(shown, /allow-web/);
  assert.doesNotMatch(shown, /knp\.default/);

  const { code } = await lab.cli(["delete", "-f", "-"], denyAndAllow);
  assert.equal(code, 0);
  await waitFor(async () => !(await lab.inside(netns, "ipset", "list", "-name")).includes("s:"), {
    what: "the policy's set to go",
  });
  assert.deepEqual((await lab.check()).mismatches, []);
});

/** What must not change while a daemon restarts. */
async function kernelState(netns: string): Promise<string> {
  const texts = await Promise.all([
    lab.inside(netns, "iptables-save"),
    lab.inside(netns, "ip", "route"),
    lab.inside(netns, "ip", "-o", "neigh", "show", "nud", "permanent"),
    lab.inside(netns, "bridge", "fdb", "show", "dev", "vxlan.calico"),
  ]);
  // Counters of chains and the time of the dump are no state.
  return texts.join("\n").replaceAll(/\[\d+:\d+\]|^# .*$/gm, "");
}

for (const daemon of ["felix", "bgp"] as const) {
  test(`kill -9 of tortie ${daemon} loses no packet, changes nothing, and it is back in 5 s`, async () => {
    const { netns, pids } = (await lab.status()).nodes[0] ?? assert.fail("no node");
    const before = await kernelState(netns);
    const events = new Background(netns, "ip", "-4", "monitor", "route", "link");
    const target = pod("node3", "pod1").address;
    const ping = new Background(pod("node1", "pod1").netns, "ping", "-qi0.05", "-c120", target);
    await delay(500);
    process.kill(pids[daemon] ?? 0, "SIGKILL");
    const fresh = await waitFor(
      async () => {
        const now = (await lab.status()).nodes[0]?.pids[daemon] ?? null;
        return now !== null && now !== pids[daemon] && now;
      },
      { timeoutMs: 30_000, what: `${daemon} to be back` },
    );
    assert.ok(fresh);
    assert.match(await ping.end(), / 0% packet loss/);
    await waitFor(
      async () =>
        (await lab.status()).nodes[0]?.peers.every(({ state }) => state === "Established"),
      { what: "the sessions" },
    );
    await events.stop();
    assert.equal(events.printed, "");
    assert.equal(await kernelState(netns), before);
  });
}

const repairs: readonly [
  what: string,
  limitMs: number,
  break_: string[],
  look: string[],
  good: RegExp,
][] = [
  ["a pod's route", 1000, ["ip", "route", "del", "POD"], ["ip", "route"], /^POD dev cali/m],
  [
    "a chain",
    1000,
    ["iptables", "-F", "cali-FORWARD"],
    ["iptables", "-S", "cali-FORWARD"],
    /-A cali-FORWARD/,
  ],
  [
    "vxlan.calico",
    1000,
    ["ip", "link", "del", "vxlan.calico"],
    ["ip", "route"],
    /dev vxlan\.calico/,
  ],
];
for (const [what, limitMs, breaking, look, good] of repairs) {
  test(`${what} that somebody removes is repaired within ${limitMs} ms, without a restart`, async () => {
    const { netns } = node("node1");
    const pids = (await lab.status()).nodes[0]?.pids;
    const { address } = pod("node1", "pod1");
    const fill = (words: readonly string[]) => words.map((word) => word.replace("POD", address));
    await lab.inside(netns, ...fill(breaking));
    const pattern = new RegExp(good.source.replace("POD", address), good.flags);
    await waitFor(async () => pattern.test(await lab.inside(netns, ...look)), {
      timeoutMs: limitMs,
      what,
    });
    assert.deepEqual((await lab.status()).nodes[0]?.pids, pids);
    await lab.inside(
      pod("node1", "pod1").netns,
      "ping",
      "-c2",
      "-i0.2",
      pod("node3", "pod1").address,
    );
  });
}

test("pod add takes labels and named ports in a new namespace; pod rm leaves nothing", async () => {
  await lab.mustLab(
    ...["pod", "add", "node2", "web", "--namespace", "shop"],
    ...["--label", "app=web", "--port", "http=8080/TCP"],
  );
  await lab.apply(`
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  selector: app == 'web'
  ingress:
    - {action: Allow, protocol: TCP, destination: {ports: [http]}}
`);
  const { flows, mismatches } = await lab.check();
  assert.deepEqual(mismatches, []);
  const web = flows.filter(({ from, to }) => from === "node1/pod1" && to === "node2/shop/web");
  assert.deepEqual(
    web.map(({ port, protocol, reached }) => [port, protocol, reached]),
    [
      [0, "ICMP", false],
      [80, "TCP", false],
      [80, "UDP", false],
      [8080, "TCP", true],
    ],
  );
  const again = await lab.lab("pod", "add", "node2", "web", "--namespace", "shop");
  assert.equal(again.code, 2);
  await lab.mustLab("pod", "rm", "node2", "web", "--namespace", "shop");
  assert.doesNotMatch(await lab.mustLab("status", "--json"), /"shop"/);
  const weps = await lab.cli(["get", "workloadendpoint", "-n", "shop", "-o", "json"]);
  assert.doesNotMatch(weps.stdout, /"web"/);
});

const badInput: readonly [what: string, args: readonly string[], input: string, words: RegExp][] = [
  ["a malformed manifest", ["apply", "-f", "-"], "kind: [", /./],
  [
    "an unknown kind",
    ["apply", "-f", "-"],
    "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n",
    /Secret/,
  ],
  [
    "a pool that overlaps another",
    ["create", "-f", "-"],
    "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: b}\nspec: {cidr: 10.244.128.0/24}\n",
    /spec\.cidr: overlaps .*default-ipv4-ippool.*10\.244\.128\.0\/24/,
  ],
  [
    "a policy with a bad selector",
    ["apply", "-f", "-"],
    "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: c, namespace: default}\nspec: {selector: \"app = 'x'\"}\n",
    /spec\.selector/,
  ],
];
for (const [what, args, input, words] of badInput) {
  test(`${what} gets one clear error, and nothing is stored`, async () => {
    const { code, stdout, stderr } = await lab.cli(args, input);
    assert.notEqual(code, 0);
    assert.match(stdout + stderr, words);
    assert.doesNotMatch(stdout + stderr, /\n\s+at .*:\d+:\d+/);
  });
}

test("another VNI, port and MTU make the devices anew on all nodes, and all reach all again", async () => {
  await lab.apply(`
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {vxlanVNI: 4097, vxlanPort: 4790, vxlanMTU: 1400}
`);
  const device = ({ netns }: LabStatus["nodes"][number]) =>
    lab.inside(netns, "ip", "-d", "link", "show", "vxlan.calico").catch(() => "");
  const isNew = (text: string) =>
    [/ id 4097 /, / dstport 4790 /, / mtu 1400 /].every((pattern) => pattern.test(text));
  await waitFor(async () => (await Promise.all(status.nodes.map(device))).every(isNew), {
    timeoutMs: 60_000,
    what: "the devices",
  });
  const from = status.pods.find(({ node: name }) => name === "node1") ?? assert.fail("no pod");
  const to = status.pods.find(({ node: name }) => name === "node3")?.addresses[0] ?? "";
  const reaches = () =>
    lab.inside(from.netns, "ping", "-c1", "-W1", to).then(
      () => true,
      () => false,
    );
  await waitFor(reaches, { timeoutMs: 60_000, what: "the other segment" });
  assert.deepEqual((await lab.check()).mismatches, []);
});

test("lab up again is fine with the same arguments, and an error with others", async () => {
  assert.equal((await lab.lab("up")).code, 0);
  const other = await lab.lab("up", "--pods", "1");
  assert.equal(other.code, 2);
  assert.match(other.stderr, /other arguments/);
});

test("lab down leaves no namespace, process or file", async () => {
  const { pids } = (await lab.status()).nodes[0] ?? assert.fail("no node");
  await lab.mustLab("down");
  const netns = existsSync("/run/netns") ? readdirSync("/run/netns") : [];
  assert.deepEqual(
    netns.filter((name) => name.startsWith(`${lab.name}-`)),
    [],
  );
  for (const pid of Object.values(pids)) assert.equal(processIdentity(pid ?? 0), undefined);
  assert.deepEqual(readdirSync(lab.folder), []);
});
