import assert from "node:assert/strict";
import { closeSync, openSync } from "node:fs";
import { after, before, test } from "node:test";
import { keyOf } from "../../src/api/resource-key.ts";
import { parseIpAddr } from "../../src/lib/ip-addr.ts";
import { block, hostEndpoint, node, pool, profile } from "../states/resources.ts";
import { Background } from "../support/lab.ts";
import { RawSockets } from "../support/raw-sockets.ts";
import { waitFor } from "../support/wait-for.ts";
import { FelixNode, inside, podEndpoint } from "./felix-node.ts";

/**
 * Rules for VXLAN's outer packets (facts 4.5), of both families: only nodes may send them to a node, pods
 * may send none, and the connection table knows nothing of them. node-b is outside, and so is a stranger.
 */

const felix = new FelixNode("enc");
const vxlanPort = 4789;
const addresses = {
  4: { host: "192.168.1.11", nodeB: "192.168.1.12", stranger: "192.168.1.66" },
  6: { host: "fd01::11", nodeB: "fd01::12", stranger: "fd01::66" },
} as const;

let podNetns = "";
let sockets: { readonly host: RawSockets; readonly outside: RawSockets; readonly pod: RawSockets };
const descriptors: number[] = [];
let lastId = 0x7000_0000;

function socketsOf(netns: string): RawSockets {
  const fd = openSync(`/run/netns/${netns}`, "r");
  descriptors.push(fd);
  return new RawSockets(fd);
}

before(async () => {
  podNetns = felix.addPod("a", "10.0.0.1", "02:00:00:00:00:01");
  felix.addOutside("192.168.1.12/24");
  const outside = (...args: string[]) => inside(felix.outside, "ip", args);
  felix.run("ip", "address", "add", "fd01::11/64", "dev", "eth0", "nodad");
  outside("address", "add", "192.168.1.66/24", "dev", "other");
  outside("address", "add", "192.168.1.1/24", "dev", "other");
  for (const own of ["fd01::12/64", "fd01::66/64"]) {
    outside("address", "add", own, "dev", "other", "nodad");
  }
  await felix.create(
    node("node-a", "192.168.1.11/24", {
      bgp: { ipv4Address: "192.168.1.11/24", ipv6Address: "fd01::11/64" },
      ipv4VXLANTunnelAddr: "10.0.0.0",
      ipv6VXLANTunnelAddr: "fd00::",
    }),
    node("node-b", "192.168.1.12/24", {
      bgp: { ipv4Address: "192.168.1.12/24", ipv6Address: "fd01::12/64" },
      ipv4VXLANTunnelAddr: "10.0.0.64",
      ipv6VXLANTunnelAddr: "fd00::40",
    }),
    pool("four", "10.0.0.0/16", { vxlanMode: "Always" }),
    pool("six", "fd00::/64", { vxlanMode: "Always" }),
    profile("kns.prod"),
    podEndpoint("a", "10.0.0.1"),
  );
  await felix.start();
  sockets = {
    host: socketsOf(felix.netns),
    outside: socketsOf(felix.outside),
    pod: socketsOf(podNetns),
  };
});
after(async () => {
  for (const one of Object.values(sockets)) one[Symbol.dispose]();
  for (const fd of descriptors) closeSync(fd);
  await felix.close();
});

interface Sent {
  readonly by: RawSockets;
  readonly source: string;
  readonly destination: string;
  readonly port?: number;
  /** IANA's number; UDP unless said. */
  readonly protocol?: number;
}

/** The packet's id. */
function send({ by, source, destination, port = vxlanPort, protocol = 17 }: Sent): number {
  const id = ++lastId;
  const ends = { source: parseIpAddr(source), destination: parseIpAddr(destination) };
  by.send({ ...ends, protocol, sourcePort: 40_000, destinationPort: port }, id);
  return id;
}

/** Which of the packets, sent in this order, are delivered to `to`. The last one must be. */
async function delivered(to: RawSockets, packets: readonly Sent[]): Promise<boolean[]> {
  const ids = packets.map(send);
  const last = ids.at(-1) ?? 0;
  await waitFor(() => to.hears(last), { what: "the last packet" });
  return ids.map((id) => to.hears(id));
}

for (const family of [4, 6] as const) {
  const { host, nodeB, stranger } = addresses[family];

  test(`IPv${family}: VXLAN of a stranger is dropped, a node's is not, nor is a stranger's other UDP`, async () => {
    const by = sockets.outside;
    const packets = [
      { by, source: stranger, destination: host },
      { by, source: nodeB, destination: host },
      { by, source: stranger, destination: host, port: 4790 },
    ];
    assert.deepEqual(await delivered(sockets.host, packets), [false, true, true]);
  });

  test(`IPv${family}: the node sends VXLAN, and the connection table knows nothing of it, in or out`, async () => {
    const by = sockets.host;
    const out = { by, source: host, destination: nodeB };
    const tracked = { ...out, port: 4791 };
    assert.deepEqual(await delivered(sockets.outside, [out, tracked]), [true, true]);
    const table = felix.run("conntrack", "-L", "-f", `ipv${family}`);
    assert.match(table, /dport=4791 /);
    assert.match(table, /dport=4790 /);
    assert.doesNotMatch(table, /dport=4789 /);
  });
}

test("a node that comes may send, one that goes no more", async () => {
  const nodeC = node("node-c", "192.168.1.66/24");
  const sent = { by: sockets.outside, source: "192.168.1.66", destination: "192.168.1.11" };
  await felix.create(nodeC);
  const isDelivered = async () => {
    const marker = { ...sent, port: 4790 };
    return (await delivered(sockets.host, [sent, marker]))[0];
  };
  await waitFor(isDelivered, { what: "VXLAN of node-c" });
  await felix.remove(await felix.datastore.get(keyOf(nodeC)));
  await waitFor(async () => !(await isDelivered()), { what: "no VXLAN of node-c" });
});

test("pods may send neither VXLAN nor IPIP to anybody", async () => {
  const sent = { by: sockets.pod, source: "10.0.0.1", destination: "192.168.1.66" };
  inside(felix.outside, "ip", ["route", "add", "10.0.0.1", "via", "192.168.1.11"]);
  const packets = [sent, { ...sent, protocol: 4 }, { ...sent, port: 4790 }];
  assert.deepEqual(await delivered(sockets.outside, packets), [false, false, true]);
});

test("a host endpoint that lets nothing through lets VXLAN of nodes through, both ways", async () => {
  const endpoint = hostEndpoint("eth0", { interfaceName: "eth0" });
  await felix.create(endpoint);
  const { host, nodeB } = addresses[4];
  const [inward, outward] = [
    { by: sockets.outside, source: nodeB, destination: host },
    { by: sockets.host, source: host, destination: nodeB },
  ];
  const blocked = async (to: RawSockets, sent: Sent) => {
    const [other, vxlan] = await delivered(to, [{ ...sent, port: 4792 }, sent]);
    return vxlan && !other;
  };
  await waitFor(() => blocked(sockets.host, inward), { what: "the host endpoint, inward" });
  await waitFor(() => blocked(sockets.outside, outward), { what: "the host endpoint, outward" });
  await felix.remove(await felix.datastore.get(keyOf(endpoint)));
});

test("what the node sends into the tunnel by its own address leaves with the tunnel's, all else as it is", async () => {
  await felix.create(block("10.0.0.64/29", "node-b", { 0: "node-b" }));
  await waitFor(() => felix.run("ip", "route").includes("10.0.0.64/29 via"), {
    what: "the route to node-b's block",
  });
  const dump = new Background(felix.netns, "tcpdump", "-lni", "vxlan.calico", "udp");
  await waitFor(() => dump.output.includes("listening"), { what: "tcpdump" });
  const destination = "10.0.0.66";
  send({ by: sockets.host, source: "192.168.1.11", destination, port: 7001 });
  send({ by: sockets.host, source: "10.0.0.0", destination, port: 7002 });
  send({ by: sockets.pod, source: "10.0.0.1", destination, port: 7003 });
  await waitFor(() => dump.output.includes("7003"), { what: "all packets in the tunnel" });
  const text = await dump.stop();
  const sources = [...text.matchAll(/IP (\S+)\.\d+ > 10\.0\.0\.66\.(\d+)/g)];
  assert.deepEqual(sources.map(([, source, port]) => [port, source]).toSorted(), [
    ["7001", "10.0.0.0"],
    ["7002", "10.0.0.0"],
    ["7003", "10.0.0.1"],
  ]);
});
