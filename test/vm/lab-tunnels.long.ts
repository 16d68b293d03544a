import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { LabStatus } from "../../src/lab/lab-status.ts";
import { Background, TestLab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";

/**
 * A lab of three nodes on two segments, from its start: WireGuard, then IPIPCrossSubnet, then IPIP. In
 * each all pods reach each other, and what is on the wires between the nodes is what it must be.
 */

const timeoutMs = 600_000;
const lab = new TestLab("tunnels");
let status: LabStatus;

before(async () => {
  const up = ["up", "--nodes", "3", "--pods", "1", "--timeout", `${timeoutMs / 1000}`, "--json"];
  status = JSON.parse(
    await lab.mustLab(...up, "--encapsulation", "IPIPCrossSubnet", "--wireguard"),
  ) as LabStatus;
});
after(() => lab.down());

/** The second node is on the first one's segment, the third is not. */
type Target = "node2" | "node3";
const wires: Readonly<Record<Target, string>> = { node2: "port2", node3: "port3" };

const node = (name: string) =>
  status.nodes.find((each) => each.name === name) ?? assert.fail(`no ${name}`);
const podOf = (name: string) =>
  status.pods.find((each) => each.node === name) ?? assert.fail(`no pod on ${name}`);
const nodeAddress = (name: string) => node(name).addresses[0] ?? "";
const podAddress = (name: string) => podOf(name).addresses[0] ?? "";

async function allReach(): Promise<void> {
  const all = async () => {
    const { flows, mismatches } = await lab.check();
    if (mismatches.length > 0) throw new Error(JSON.stringify(mismatches));
    return flows.length > 0;
  };
  await waitFor(all, { timeoutMs, what: "all as policy says" });
}

/** What comes to a node from the first one, or from its pod, while that pod pings the node's pod. */
async function captured(to: Target): Promise<string[]> {
  const from = `(src host ${nodeAddress("node1")} or src host ${podAddress("node1")})`;
  const tunnels = "(ip proto 4 or udp port 51820 or icmp)";
  const tcpdump = ["tcpdump", "-lni", wires[to], "-Q", "out", `${from} and ${tunnels}`];
  const dump = new Background(status.router, ...tcpdump);
  await waitFor(() => dump.output.includes("listening"), { timeoutMs, what: "tcpdump" });
  const ping = ["ping", "-n", "-c3", "-i0.2", "-W10", podAddress(to)];
  await lab.inside(podOf("node1").netns, ...ping);
  const lines = () => dump.printed.split("\n").filter((line) => line.includes(" IP "));
  await waitFor(() => lines().length >= 3, { timeoutMs, what: "three packets" });
  await dump.stop();
  return lines();
}

async function wireHas(to: Target, packet: string): Promise<void> {
  for (const line of await captured(to)) assert.ok(line.includes(` IP ${packet}`), line);
}

const encrypted = (to: Target) => `${nodeAddress("node1")}.51820 > ${nodeAddress(to)}.51820: UDP`;
const plain = (to: Target) => `${podAddress("node1")} > ${podAddress(to)}: ICMP echo request`;
const inIp = (to: Target) => `${nodeAddress("node1")} > ${nodeAddress(to)}: IP ${plain(to)}`;

async function change(kind: string, name: string, spec: object): Promise<void> {
  const patch = JSON.stringify({ spec });
  const { code, stderr } = await lab.cli(["patch", kind, name, "--patch", patch]);
  assert.equal(code, 0, stderr);
}

/** Every node's routes to the others' blocks: `isSo` gives whether all are as they must be. */
const everywhere = (what: string, args: readonly string[], isSo: (text: string) => boolean) =>
  waitFor(
    async () => {
      const texts = status.nodes.map(({ netns }) => lab.inside(netns, "ip", ...args));
      return (await Promise.all(texts)).every(isSo);
    },
    { timeoutMs, what },
  );

test("with WireGuard all pods reach each other, and nothing is in clear", async () => {
  await allReach();
  for (const to of ["node2", "node3"] as const) await wireHas(to, encrypted(to));
});

test("without it, IPIPCrossSubnet is IP in IP between segments, and nothing within one", async () => {
  await change("felixconfiguration", "default", { wireguardEnabled: false });
  await everywhere("no device", ["-o", "link"], (text) => !text.includes("wireguard.cali"));
  await allReach();
  await wireHas("node3", inIp("node3"));
  await wireHas("node2", plain("node2"));
});

test("IPIP is IP in IP within a segment, too", async () => {
  await change("ippool", "default-ipv4-ippool", { ipipMode: "Always" });
  const viaEth0 = /^\S+ via \S+ dev eth0 proto 80/m;
  await everywhere("routes through the tunnel", ["route"], (text) => !viaEth0.test(text));
  await allReach();
  for (const to of ["node2", "node3"] as const) await wireHas(to, inIp(to));
});
