import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { calicoApiVersion } from "../../src/api/meta.ts";
import type { PathReport } from "../../src/paths/run-check.ts";
import { inside } from "../integration/felix-node.ts";
import { pool, profile } from "../states/resources.ts";
import { Background } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";
import { reaches, type Segment, says, sizesOf, TwoSegments } from "./segments.ts";

/** Two nodes of two segments with a router between, a pod each: IPIP between segments. */

const tortie = fileURLToPath(new URL("../../bin/tortie", import.meta.url));
const segments = new TwoSegments("ipip", { FELIX_PATHCHECKS: "Enabled" });
const { a, b, router, datastore, store, folder } = segments;
const timeoutMs = 240_000;

before(() =>
  segments.start(
    [pool("default", "10.0.0.0/16", { ipipMode: "CrossSubnet" }), profile("kns.prod")],
    ({ nodeAddress, tunnelAddress }) => ({
      bgp: { ipv4Address: `${nodeAddress}/24`, ipv4IPIPTunnelAddr: tunnelAddress },
    }),
  ),
);
after(async () => {
  for (const child of speakers) child.kill("SIGKILL");
  await segments.close();
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

test("a path check finds the tunnel sound, also where the network is slow, and names a filtered protocol 4", async () => {
  const isSound = (report: PathReport) =>
    report.findings.length === 0 && sizesOf(report)["ipip"] === 1480;
  const report = await segments.checked("a sound tunnel", isSound);
  assert.deepEqual(sizesOf(report), { underlay: 1500, ipip: 1480 });
  router.run("tc", ["qdisc", "add", "dev", "seg2", "root", "netem", "delay", "150ms", "20ms"]);
  const slow = await segments.checked("a sound tunnel", isSound);
  assert.ok(slow.peers[0]?.paths.every(({ roundTripMs = 0 }) => roundTripMs > 100));
  router.run("tc", ["qdisc", "del", "dev", "seg2", "root"]);
  const rule = ["FORWARD", "-p", "4", "-j", "DROP"];
  router.run("iptables", ["-I", ...rule]);
  const filtered = says(/^IP protocol 4 is filtered between node-a and node-b: of 3 /);
  await segments.checked("the filter", filtered);
  router.run("iptables", ["-D", ...rule]);
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

/** Changes the owner under a ping, until `hasRoutes` of the new one: each request must be answered. */
async function losesNothing(felix: string, bgp: string, protocol: string): Promise<void> {
  const ping = new Background(a.podNetns.name, "ping", "-n", "-i", "0.1", b.podAddress);
  const answered = () =>
    [...ping.printed.matchAll(/ icmp_seq=(\d+) ttl=/g)].map(([, seq]) => Number(seq));
  await waitFor(() => answered().length > 10, { timeoutMs, what: "answers" });
  await programRoutes(felix, bgp);
  await waitFor(() => hasRoutes(protocol), { timeoutMs, what: `routes of protocol ${protocol}` });
  const before = answered().length;
  await waitFor(() => answered().length > before + 10, { timeoutMs, what: "more answers" });
  await ping.stop();
  const all = answered();
  const [first = 0, last = 0] = [all[0], all.at(-1)];
  const asked = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  assert.deepEqual(
    asked.filter((seq) => !all.includes(seq)),
    [],
  );
}

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
  await losesNothing("Disabled", "Enabled", "bird");
  const events = new Background(a.netns.name, "ip", "-4", "monitor", "route");
  first?.kill("SIGKILL");
  await waitFor(() => session() === "", { timeoutMs, what: "the end of the old session" });
  startSpeaker(a);
  await waitFor(() => session() !== "", { timeoutMs, what: "the session" });
  await events.stop();
  assert.equal(events.printed, "", "the routes of the speaker that was killed are kept");
  await losesNothing("EnabledIPIPOnly", "EnabledNoEncapOnly", "80");
  for (const child of speakers) child.kill("SIGKILL");
});

test("a pool that changes to no encapsulation leaves no tunnel behind", async () => {
  const key = { kind: "IPPool", name: "default" } as const;
  const stored = await datastore.get<"IPPool">(key);
  await datastore.update<"IPPool">({ ...stored, spec: { ...stored.spec, ipipMode: "Never" } });
  // What `tortie node` does some seconds later.
  for (const { name, nodeAddress } of [a, b]) {
    const spec = { bgp: { ipv4Address: `${nodeAddress}/24` } };
    const given = await datastore.get<"Node">({ kind: "Node", name: `node-${name}` });
    await datastore.update<"Node">({ ...given, spec });
  }
  const left = () => inside(a.netns.name, "ip", ["route", "show", "dev", "tunl0"]);
  const device = () => a.netns.ip("-o address show dev tunl0");
  await waitFor(() => !device().includes(a.tunnelAddress), {
    timeoutMs,
    what: "the address to go",
  });
  await waitFor(() => left() === "", { timeoutMs, what: "the routes to go" });
});
