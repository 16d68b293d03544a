import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import { pool, profile } from "../states/resources.ts";
import { Background } from "../support/lab.ts";
import type { TestNetns } from "../support/netns.ts";
import { waitFor } from "../support/wait-for.ts";
import { reaches, says, sizesOf, TwoSegments } from "./segments.ts";

/** Two nodes of two segments with a router between, a pod each: WireGuard between the nodes. */

const segments = new TwoSegments("wireguard", { FELIX_PATHCHECKS: "Enabled" });
const { a, b, router, datastore } = segments;
const timeoutMs = 180_000;
const configKey = { kind: "FelixConfiguration", name: "default" } as const;

const config = (spec: Readonly<Record<string, unknown>>) =>
  ({
    apiVersion: "projectcalico.org/v3",
    kind: "FelixConfiguration",
    metadata: { name: "default" },
    spec,
  }) as AnyResource;

async function configure(spec: Readonly<Record<string, unknown>>): Promise<void> {
  const stored = await datastore.get<"FelixConfiguration">(configKey);
  await datastore.update<"FelixConfiguration">({ ...stored, spec });
}

const keyOf = async ({ node }: typeof a) =>
  (await datastore.get({ kind: "Node", name: node })).status?.wireguardPublicKey;

const encrypted = (netns: TestNetns) =>
  netns.ip("route show table all dev wireguard.cali type unicast");

/** Until each sends what is for the other's pods into the tunnel, and their keys agree. */
const joined = (what: string) =>
  waitFor(
    () =>
      encrypted(a.netns).includes(b.block) &&
      encrypted(b.netns).includes(a.block) &&
      reaches(a.podNetns, b.podAddress),
    { timeoutMs, what },
  );

/** What the router passes on between the segments while `act` runs. */
async function captured(act: () => void): Promise<string[]> {
  const dump = new Background(router.name, "tcpdump", "-lni", "seg2", "-Q", "out", "ip");
  await waitFor(() => dump.output.includes("listening"), { timeoutMs, what: "tcpdump" });
  act();
  await waitFor(() => dump.printed.includes(" IP "), { timeoutMs, what: "packets" });
  return (await dump.stop()).split("\n").filter((line) => / IP /.test(line));
}

before(async () => {
  await segments.start(
    [
      config({ wireguardEnabled: true }),
      pool("default", "10.0.0.0/16", { ipipMode: "CrossSubnet" }),
      profile("kns.prod"),
    ],
    ({ nodeAddress, tunnelAddress }) => ({
      bgp: { ipv4Address: `${nodeAddress}/24`, ipv4IPIPTunnelAddr: tunnelAddress },
      wireguard: { interfaceIPv4Address: tunnelAddress },
    }),
  );
});
after(() => segments.close());

test("keys are published, pods and nodes reach each other, and the router sees nothing in clear", async () => {
  await joined("the tunnel");
  const [device] = a.netns.ipJson<{ mtu: number; addr_info: { local: string }[] }>(
    "address show dev wireguard.cali",
  );
  assert.equal(device?.mtu, 1440);
  assert.deepEqual(
    device.addr_info.map(({ local }) => local),
    [a.tunnelAddress],
  );
  const lines = await captured(() => {
    assert.ok(reaches(a.podNetns, b.podAddress), "pod to pod");
    assert.ok(reaches(b.podNetns, a.podAddress), "and back");
    assert.ok(reaches(a.netns, b.podAddress), "node to pod");
    a.podNetns.run("ping", ["-c1", "-W2", "-Mdo", "-s1372", b.podAddress]);
  });
  const outer = `IP ${a.nodeAddress}.51820 > ${b.nodeAddress}.51820: UDP`;
  for (const line of lines) assert.ok(line.includes(outer), line);
});

test("loss and delay on the way lose no data", async () => {
  for (const link of ["seg1", "seg2"]) {
    router.run("tc", ["qdisc", "add", "dev", link, "root", "netem", "delay", "30ms", "loss", "5%"]);
  }
  const bytes = 300_000;
  const server = new Background(b.podNetns.name, "socat", "-u", "TCP-LISTEN:9000", "SYSTEM:wc -c");
  const listening = () => b.podNetns.run("ss", ["-Hltn", "sport = 9000"]) !== "";
  await waitFor(listening, { timeoutMs, what: "the server" });
  const target = `TCP:${b.podAddress}:9000`;
  a.podNetns.run("socat", ["-u", "-", target], "x".repeat(bytes));
  await waitFor(() => server.output.includes(`${bytes}`), { timeoutMs, what: "all octets" });
  await server.stop();
  for (const link of ["seg1", "seg2"]) router.run("tc", ["qdisc", "del", "dev", link, "root"]);
});

test("a path check finds the tunnel sound, and names a filtered UDP 51820", async () => {
  await segments.checked("a sound tunnel", (report) => sizesOf(report)["wireguard"] === 1440);
  const rule = ["FORWARD", "-p", "udp", "--dport", "51820", "-j", "DROP"];
  router.run("iptables", ["-I", ...rule]);
  const filtered = says(/^UDP 51820 is filtered between node-a and node-b/);
  await segments.checked("the filter", filtered);
  router.run("iptables", ["-D", ...rule]);
});

test("a device that is deleted comes back with another key, which the others take", async () => {
  const before = await keyOf(a);
  assert.ok(before);
  a.netns.ip("link del wireguard.cali");
  const changed = async () => ![undefined, before].includes(await keyOf(a));
  await waitFor(changed, { timeoutMs, what: "another key" });
  await joined("the tunnel with another key");
});

test("with host encryption what nodes send to each other is in the tunnel too", async () => {
  await configure({ wireguardEnabled: true, wireguardHostEncryptionEnabled: true });
  const into = () => encrypted(a.netns).includes(b.nodeAddress);
  await waitFor(() => into() && reaches(a.netns, b.nodeAddress), { timeoutMs, what: "the hosts" });
  const lines = await captured(() => assert.ok(reaches(a.netns, b.nodeAddress), "node to node"));
  for (const line of lines) assert.match(line, /\.51820: UDP/);
});

test("a node that goes is no peer any more", async () => {
  await datastore.delete({ kind: "Node", name: b.node });
  await waitFor(() => encrypted(a.netns) === "", { timeoutMs, what: "no way into the tunnel" });
});

test("when it is switched off, device, rule and key go", async () => {
  await configure({ wireguardEnabled: false });
  const links = () => a.netns.ip("-o link show");
  await waitFor(() => !links().includes("wireguard.cali"), { timeoutMs, what: "no device" });
  await waitFor(async () => (await keyOf(a)) === undefined, { timeoutMs, what: "no key" });
  assert.doesNotMatch(a.netns.ip("rule"), /^99:/m);
});
