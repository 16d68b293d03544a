import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { calicoApiVersion } from "../../src/api/meta.ts";
import { openEmbeddedDatastore } from "../../src/datastore/embedded/embedded-datastore.ts";
import { inside } from "../integration/felix-node.ts";
import { block, node, pod, pool, profile } from "../states/resources.ts";
import { FelixProcess } from "../support/felix-process.ts";
import { Background } from "../support/lab.ts";
import { TestNetns } from "../support/netns.ts";
import { waitFor } from "../support/wait-for.ts";

/** Two nodes of two segments with a router between, a pod each: IPIP between segments. */

const folder = mkdtempSync(join(tmpdir(), "tortie-ipip-"));
const store = join(folder, "store");
const tortie = fileURLToPath(new URL("../../bin/tortie", import.meta.url));
const datastore = openEmbeddedDatastore(store);
const router = new TestNetns("router");
const [a, b] = [segment("a", 1), segment("b", 2)];
const timeoutMs = 240_000;

/** A node of its own segment, 192.168.SEGMENT.11/24, with a pod 10.0.SEGMENT.1 in a namespace of its own. */
function segment(name: string, number: number) {
  const netns = new TestNetns(name);
  const podNetns = new TestNetns(`pod${name}`);
  netns.addVeth("eth0", `seg${number}`, router);
  netns.ip(`address add 192.168.${number}.11/24 dev eth0`);
  router.ip(`address add 192.168.${number}.1/24 dev seg${number}`);
  netns.ip(`route add default via 192.168.${number}.1`);
  netns.addVeth(`cali${name}`, "eth0", podNetns);
  podNetns.ip(`address add 10.0.${number}.1/32 dev eth0`);
  podNetns.ip("route add 169.254.1.1 dev eth0 scope link");
  podNetns.ip("route add default via 169.254.1.1");
  for (const each of [netns, router]) each.run("sysctl", ["-q", "-w", "net.ipv4.ip_forward=1"]);
  const felix = new FelixProcess({
    netns: netns.name,
    node: `node-${name}`,
    store,
    folder: join(folder, name),
    env: { FELIX_IPV6SUPPORT: "false" },
  });
  return {
    name,
    netns,
    podNetns,
    felix,
    nodeAddress: `192.168.${number}.11`,
    podAddress: `10.0.${number}.1`,
    block: `10.0.${number}.0/29`,
    tunnelAddress: `10.0.${number}.2`,
  };
}

type Segment = typeof a;

function resourcesOf({ name, nodeAddress, podAddress, tunnelAddress, ...rest }: Segment) {
  const me = `node-${name}`;
  return [
    node(me, `${nodeAddress}/24`, {
      bgp: { ipv4Address: `${nodeAddress}/24`, ipv4IPIPTunnelAddr: tunnelAddress },
    }),
    block(rest.block, me, { 1: me, 2: me }),
    pod(`node--${name}-k8s-pod-eth0`, {
      node: me,
      ip: `${podAddress}/32`,
      interfaceName: `cali${name}`,
      mac: rest.podNetns.ipJson<{ address: string }>("link show eth0")[0]?.address ?? "",
    }),
  ];
}

function reaches(from: TestNetns, address: string): boolean {
  try {
    from.run("ping", ["-c1", "-W2", address]);
    return true;
  } catch {
    return false;
  }
}

before(async () => {
  const cluster = [
    pool("default", "10.0.0.0/16", { ipipMode: "CrossSubnet" }),
    profile("kns.prod"),
  ];
  for (const resource of [...cluster, ...resourcesOf(a), ...resourcesOf(b)]) {
    await datastore.create(resource as never);
  }
  await Promise.all([a.felix.start(), b.felix.start()]);
});
after(async () => {
  for (const child of speakers) child.kill("SIGKILL");
  await Promise.all([a.felix.stop("SIGKILL"), b.felix.stop("SIGKILL")]);
  await datastore.close();
  for (const each of [a.podNetns, b.podNetns, a.netns, b.netns, router]) each.remove();
  rmSync(folder, { recursive: true });
});

test("the other segment's block goes by tunl0 to its node, the own one is a blackhole", async () => {
  const wanted = new RegExp(`^${b.block} via ${b.nodeAddress} dev tunl0 proto 80 onlink`, "m");
  await waitFor(() => wanted.test(a.netns.ip("route")), { timeoutMs, what: "the route" });
  assert.match(a.netns.ip("route"), new RegExp(`^blackhole ${a.block} proto 80`, "m"));
  const [device] = a.netns.ipJson<{ mtu: number; addr_info: { local: string }[] }>(
    "address show dev tunl0",
  );
  assert.equal(device?.mtu, 1480);
  assert.deepEqual(
    device.addr_info.map(({ local }) => local),
    [a.tunnelAddress],
  );
});

test("pods reach each other and their nodes; the router sees IP in IP, and no pod's address outside", async () => {
  await waitFor(() => reaches(a.podNetns, b.podAddress), { timeoutMs, what: "the other pod" });
  const dump = new Background(router.name, "tcpdump", "-lni", "seg2");
  await waitFor(() => dump.output.includes("listening"), { timeoutMs, what: "tcpdump" });
  assert.ok(reaches(a.podNetns, b.podAddress), "pod to pod");
  assert.ok(reaches(a.netns, b.podAddress), "node to pod");
  const nodeToPod = `IP ${a.tunnelAddress} > ${b.podAddress}: ICMP echo request`;
  await waitFor(() => dump.output.includes(nodeToPod), { timeoutMs, what: "the node's packet" });
  const lines = (await dump.stop()).split("\n").filter((line) => line.includes("ICMP echo"));
  const outer = `IP ${a.nodeAddress} > ${b.nodeAddress}: IP `;
  const back = `IP ${b.nodeAddress} > ${a.nodeAddress}: IP `;
  assert.ok(lines.length >= 4, lines.join("\n"));
  for (const line of lines) assert.ok(line.includes(outer) || line.includes(back), line);
  assert.ok(lines.some((line) => line.includes(`${outer}${a.podAddress} > ${b.podAddress}`)));
});

test("IP in IP from who is no node is dropped", async () => {
  const dropped = () =>
    Number(
      /\[(\d+):\d+\] -A cali-INPUT -p ipencap .*DROP|\[(\d+):\d+\] -A cali-INPUT -p 4 .*DROP/.exec(
        b.netns.run("iptables-save", ["-c", "-t", "filter"]),
      )?.[1] ?? Number.NaN,
    );
  assert.equal(dropped(), 0);
  router.run("modprobe", ["ipip"]);
  router.ip(`tunnel add forged mode ipip local 192.168.2.1 remote ${b.nodeAddress}`);
  router.ip("link set forged up");
  router.ip("address add 10.9.9.9/32 dev forged");
  router.ip(`route add ${b.podAddress}/32 dev forged`);
  assert.equal(reaches(router, b.podAddress), false);
  await waitFor(() => dropped() > 0, { timeoutMs, what: "the dropped packet" });
  router.ip("link del forged");
});

test("the device's address and state are made again when somebody takes them away", async () => {
  const address = () => a.netns.ip("-o address show dev tunl0");
  a.netns.ip("address flush dev tunl0");
  await waitFor(() => address().includes(a.tunnelAddress), { timeoutMs, what: "the address" });
  a.netns.ip("link set tunl0 down");
  await waitFor(() => reaches(a.podNetns, b.podAddress), { timeoutMs, what: "the other pod" });
});

const speakers: ChildProcess[] = [];

function startSpeaker({ name, netns }: Segment): ChildProcess {
  const child = spawn("ip", ["netns", "exec", netns.name, tortie, "bgp"], {
    env: {
      PATH: process.env["PATH"] ?? "",
      NODENAME: `node-${name}`,
      DATASTORE_TYPE: "embedded",
      TORTIE_DATASTORE_PATH: store,
      TORTIE_RUN_DIR: join(folder, name),
    },
    stdio: ["ignore", "ignore", "inherit"],
  });
  speakers.push(child);
  return child;
}

async function programRoutes(felix: string, bgp: string): Promise<void> {
  const given = { FelixConfiguration: felix, BGPConfiguration: bgp } as const;
  for (const [kind, programClusterRoutes] of Object.entries(given)) {
    const key = { kind: kind as keyof typeof given, name: "default" };
    const resource = { apiVersion: calicoApiVersion, kind, metadata: { name: "default" } };
    const stored = await datastore.get(key).catch(() => undefined);
    const next = { ...(stored ?? resource), spec: { programClusterRoutes } } as never;
    await (stored === undefined ? datastore.create(next) : datastore.update(next));
  }
}

const hasRoutes = (protocol: string) => {
  const lines = a.netns.ip("route").split("\n");
  const of = (start: string) => lines.filter((line) => line.startsWith(start));
  const both = [...of(`${b.block} via ${b.nodeAddress} dev tunl0`), ...of(`blackhole ${a.block}`)];
  return both.length === 2 && both.every((line) => line.includes(`proto ${protocol} `));
};

test("bgp takes the routes over, keeps them when it is killed, and gives them back: no packet is lost", async () => {
  for (const { name, block: cidr } of [a, b]) {
    const spec = { cidr, node: `node-${name}`, state: "confirmed" };
    const metadata = { name: `node-${name}-block` };
    const affinity = { apiVersion: calicoApiVersion, kind: "BlockAffinity", metadata, spec };
    await datastore.create(affinity as never);
  }
  const session = () =>
    a.netns.run("ss", ["-Htn", "state", "established", "( dport = 179 or sport = 179 )"]);
  const [first] = [a, b].map(startSpeaker);
  await waitFor(() => session() !== "", { timeoutMs, what: "the first session" });
  const ping = new Background(a.podNetns.name, "ping", "-n", "-i", "0.1", b.podAddress);
  await programRoutes("Disabled", "Enabled");
  await waitFor(() => hasRoutes("bird"), { timeoutMs, what: "bgp's routes alone" });
  const events = new Background(a.netns.name, "ip", "-4", "monitor", "route");
  first?.kill("SIGKILL");
  await waitFor(() => session() === "", { timeoutMs, what: "the end of the old session" });
  startSpeaker(a);
  await waitFor(() => session() !== "", { timeoutMs, what: "the session" });
  await events.stop();
  assert.equal(events.printed, "", "the routes of the speaker that was killed are kept");
  await programRoutes("EnabledIPIPOnly", "EnabledNoEncapOnly");
  await waitFor(() => hasRoutes("80"), { timeoutMs, what: "felix's routes alone" });
  await ping.stop();
  const answered = [...ping.output.matchAll(/ icmp_seq=(\d+) ttl=/g)].map(([, seq]) => Number(seq));
  assert.ok(answered.length > 20);
  const last = answered.at(-1) ?? 0;
  const lost = Array.from({ length: last }, (_, i) => i + 1).filter(
    (seq) => !answered.includes(seq),
  );
  assert.deepEqual(lost, []);
  for (const child of speakers) child.kill("SIGKILL");
});

test("a pool that changes to no encapsulation leaves no tunnel behind", async () => {
  const key = { kind: "IPPool", name: "default" } as const;
  const stored = await datastore.get<"IPPool">(key);
  await datastore.update<"IPPool">({ ...stored, spec: { ...stored.spec, ipipMode: "Never" } });
  const left = () => inside(a.netns.name, "ip", ["route", "show", "dev", "tunl0"]);
  const device = () => a.netns.ip("-o address show dev tunl0");
  await waitFor(() => !device().includes(a.tunnelAddress), {
    timeoutMs,
    what: "the address to go",
  });
  await waitFor(() => left() === "", { timeoutMs, what: "the routes to go" });
});
