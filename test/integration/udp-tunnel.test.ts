import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { openLinuxKernel } from "../../src/kernel/linux-kernel.ts";
import { tunnelMac } from "../../src/kernel/tap/tunnel-mac.ts";
import { parseIpAddr } from "../../src/lib/ip-addr.ts";
import { Background } from "../support/lab.ts";
import { TestNetns } from "../support/netns.ts";
import { waitFor } from "../support/wait-for.ts";

/** Two nodes and a stranger on one link, the real `tortie udp-tunnel` on each node, without felix. */

const tortie = fileURLToPath(new URL("../../bin/tortie", import.meta.url));
const fabric = new TestNetns("fabric");
const [a, b, stranger] = [end("a", 1), end("b", 2), end("stranger", 3)];
const timeoutMs = 30_000;

/** 192.168.1.HOST on the link, 10.0.0.HOST in the tunnel. */
function end(name: string, host: number) {
  const netns = new TestNetns(name);
  netns.addVeth("eth0", `port${host}`, fabric);
  netns.ip(`address add 192.168.1.${host}/24 dev eth0`);
  return { netns, host, nodeAddress: `192.168.1.${host}`, tunnelAddress: `10.0.0.${host}` };
}

type End = typeof a;

async function makeDevice({ netns, nodeAddress, tunnelAddress }: End, peer: End): Promise<void> {
  const kernel = openLinuxKernel({ netnsFd: netns.fd });
  await kernel.links.addTap("udp.tortie");
  kernel.close();
  netns.ip(`link set udp.tortie address ${tunnelMac(parseIpAddr(nodeAddress))} mtu 1472 up`);
  netns.ip(`address add ${tunnelAddress}/32 dev udp.tortie`);
  addPeer(netns, peer);
  netns.ip(`route add ${peer.tunnelAddress} dev udp.tortie src ${tunnelAddress}`);
}

function addPeer(netns: TestNetns, { nodeAddress, tunnelAddress }: End): void {
  const mac = tunnelMac(parseIpAddr(nodeAddress));
  netns.ip(`neigh replace ${tunnelAddress} lladdr ${mac} dev udp.tortie nud permanent`);
}

const children: ChildProcess[] = [];

/** With no other right than NET_ADMIN. */
function startTunnel({ netns }: End): ChildProcess {
  const rights = ["--bounding-set=-all,+net_admin", "--inh-caps=-all,+net_admin"];
  const args = ["netns", "exec", netns.name, "setpriv", ...rights, tortie, "udp-tunnel"];
  const child = spawn("ip", args, {
    env: { PATH: process.env["PATH"] ?? "" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  child.stderr?.on("data", () => undefined);
  children.push(child);
  return child;
}

async function kill(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const ended = once(child, "exit");
  child.kill(signal);
  await ended;
}

function reaches({ netns }: End, address: string, ...options: readonly string[]): boolean {
  try {
    netns.run("ping", ["-c1", "-W1", ...options, address]);
    return true;
  } catch {
    return false;
  }
}

before(async () => {
  fabric.ip("link add bridge type bridge");
  fabric.ip("link set bridge up");
  for (const { host } of [a, b, stranger]) {
    fabric.ip(`link set port${host} master bridge`);
    fabric.ip(`link set port${host} up`);
  }
  await makeDevice(a, b);
  await makeDevice(b, a);
});
after(async () => {
  for (const child of children) child.kill("SIGKILL");
  for (const { netns } of [a, b, stranger, ...withoutIpv4]) netns.remove();
  fabric.remove();
});

let tunnelA: ChildProcess;

test("packets of all sizes go as datagrams of UDP port 8285, and nothing else does", async () => {
  tunnelA = startTunnel(a);
  startTunnel(b);
  await waitFor(() => reaches(a, b.tunnelAddress), { timeoutMs, what: "the other node" });
  const dump = new Background(b.netns.name, "tcpdump", "-lni", "eth0", "udp or icmp");
  await waitFor(() => dump.output.includes("listening"), { timeoutMs, what: "tcpdump" });
  assert.ok(reaches(a, b.tunnelAddress, "-Mdo", "-s", `${1472 - 28}`), "as large as the MTU");
  assert.ok(reaches(a, b.tunnelAddress, "-s", "4000"), "in fragments");
  const seen = () => dump.printed.split("\n").filter((line) => line.includes("IP "));
  // Two echoes, the second of three fragments each way.
  await waitFor(() => seen().length >= 8, { timeoutMs, what: "all datagrams" });
  await dump.stop();
  const lines = seen();
  for (const line of lines) assert.match(line, /192\.168\.1\.[12]\.8285 > 192\.168\.1\.[12]\.8285/);
});

/** An echo request of the stranger to B, in a datagram as a node would send it. */
async function forge(): Promise<void> {
  const kernel = openLinuxKernel({ netnsFd: stranger.netns.fd });
  await kernel.links.addTap("udp.tortie");
  kernel.close();
  const { netns, nodeAddress } = stranger;
  netns.ip(`link set udp.tortie address ${tunnelMac(parseIpAddr(nodeAddress))} mtu 1472 up`);
  netns.ip(`address add 10.0.0.3/32 dev udp.tortie`);
  addPeer(netns, b);
  netns.ip(`route add ${b.tunnelAddress} dev udp.tortie src 10.0.0.3`);
  startTunnel(stranger);
}

test("what a stranger sends is dropped, until it is a peer", async () => {
  await forge();
  const dump = new Background(
    b.netns.name,
    "tcpdump",
    "-lni",
    "any",
    "src 192.168.1.3 or src 10.0.0.3",
  );
  await waitFor(() => dump.output.includes("listening"), { timeoutMs, what: "tcpdump" });
  await waitFor(
    () => {
      reaches(stranger, b.tunnelAddress);
      return dump.printed.includes("192.168.1.3.8285 > 192.168.1.2.8285");
    },
    { timeoutMs, what: "the forged datagram" },
  );
  assert.ok(reaches(a, b.tunnelAddress), "packets of peers go on");
  await dump.stop();
  assert.doesNotMatch(dump.printed, /IP 10\.0\.0\.3 >/);
  addPeer(b.netns, stranger);
  b.netns.ip("route add 10.0.0.3 dev udp.tortie src 10.0.0.2");
  await waitFor(() => reaches(stranger, b.tunnelAddress), { timeoutMs, what: "the new peer" });
});

test("without the process packets are dropped, not sent elsewhere, and go again with the next", async () => {
  await kill(tunnelA, "SIGKILL");
  const route = () => a.netns.ip(`route get ${b.tunnelAddress}`);
  assert.match(route(), /dev udp\.tortie/);
  assert.equal(reaches(a, b.tunnelAddress), false);
  tunnelA = startTunnel(a);
  await waitFor(() => reaches(a, b.tunnelAddress), { timeoutMs, what: "the other node" });
  await kill(tunnelA, "SIGTERM");
  assert.equal(tunnelA.exitCode, 0);
  tunnelA = startTunnel(a);
  await waitFor(() => reaches(a, b.tunnelAddress), { timeoutMs, what: "the other node" });
});

test("a device that is made anew is used again", async () => {
  a.netns.ip("link delete udp.tortie");
  await makeDevice(a, b);
  await waitFor(() => reaches(a, b.tunnelAddress), { timeoutMs, what: "the other node" });
});

test("a device that is there before the node's address is used once that comes", async () => {
  a.netns.ip("link delete udp.tortie");
  a.netns.ip(`address del ${a.nodeAddress}/24 dev eth0`);
  await makeDevice(a, b);
  assert.equal(reaches(a, b.tunnelAddress), false);
  a.netns.ip(`address add ${a.nodeAddress}/24 dev eth0`);
  await waitFor(() => reaches(a, b.tunnelAddress), { timeoutMs, what: "the other node" });
});

const withoutIpv4: End[] = [];

/** Nodes that have IPv6 alone: the MAC address is a hash, so the other node is a neighbor, too. */
async function addIpv6End(host: number, peerHost: number): Promise<End> {
  const netns = new TestNetns(`six${host}`);
  netns.addVeth("eth0", `port${host}`, fabric);
  fabric.ip(`link set port${host} master bridge`);
  const addressOf = (number: number) => parseIpAddr(`2001:db8::${number}`);
  netns.ip(`address add ${addressOf(host)}/64 dev eth0 nodad`);
  const kernel = openLinuxKernel({ netnsFd: netns.fd });
  await kernel.links.addTap("udp.tortie");
  kernel.close();
  netns.ip(`link set udp.tortie address ${tunnelMac(addressOf(host))} mtu 1452 up`);
  netns.ip(`address add 10.0.0.${host}/32 dev udp.tortie`);
  netns.ip(`address add fd00::${host}/128 dev udp.tortie nodad`);
  const [own, lladdr] = [addressOf(peerHost), `lladdr ${tunnelMac(addressOf(peerHost))}`];
  for (const address of [`10.0.0.${peerHost}`, `fd00::${peerHost}`, own]) {
    netns.ip(`neigh replace ${address} ${lladdr} dev udp.tortie nud permanent`);
  }
  netns.ip(`route add 10.0.0.${peerHost} dev udp.tortie src 10.0.0.${host}`);
  netns.ip(`-6 route add fd00::${peerHost} dev udp.tortie src fd00::${host}`);
  const end = { netns, host, nodeAddress: addressOf(host), tunnelAddress: `10.0.0.${host}` };
  withoutIpv4.push(end);
  return end;
}

test("between nodes that have IPv6 alone both families go in datagrams of IPv6", async () => {
  const c = await addIpv6End(4, 5);
  const d = await addIpv6End(5, 4);
  for (const each of [c, d]) startTunnel(each);
  const dump = new Background(d.netns.name, "tcpdump", "-lni", "eth0", "udp or icmp or icmp6");
  await waitFor(() => dump.output.includes("listening"), { timeoutMs, what: "tcpdump" });
  for (const address of [d.tunnelAddress, "fd00::5"]) {
    await waitFor(() => reaches(c, address), { timeoutMs, what: address });
  }
  assert.ok(reaches(c, "fd00::5", "-Mdo", "-s", `${1452 - 48}`), "as large as the MTU");
  const seen = () => dump.printed.split("\n").filter((line) => line.includes(".8285 > "));
  await waitFor(() => seen().length >= 6, { timeoutMs, what: "all datagrams" });
  await dump.stop();
  for (const line of seen()) {
    assert.match(line, /IP6 2001:db8::[45]\.8285 > 2001:db8::[45]\.8285/);
  }
  assert.doesNotMatch(dump.printed, /fd00::5: ICMP6|10\.0\.0\.5: ICMP/);
});
