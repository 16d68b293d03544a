import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { after, before, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { labPaths } from "../../src/lab/lab-state.ts";
import type { LabStatus } from "../../src/lab/lab-status.ts";
import { TestLab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";
import { allEstablished, losesNoPacket } from "./lab-restart.ts";

/** What changes in a cluster of two families: a node's addresses, its pools, its nodes. */

const tortie = fileURLToPath(new URL("../../bin/tortie", import.meta.url));

suite("a node's IPv6 address, without encapsulation", () => {
  const lab = new TestLab("mn");
  let status: LabStatus;

  before(async () => {
    const args = ["--encapsulation", "None", "--segments", "1", "--nodes", "2", "--pods", "1"];
    await lab.mustLab("up", ...args, "--ip-family", "dual");
    status = await lab.status();
  });
  after(() => lab.down());

  test("it goes and comes back, and no IPv4 packet is lost", async () => {
    await losesNoPacket(status, async () => {
      await setIpv6(lab, status, "node2", null);
      await waitFor(async () => (await lab.status()).nodes.every(({ peers }) => allUp(peers, 1)), {
        what: "the IPv6 session to end",
      });
      assert.doesNotMatch(await routes(lab, status, "node1"), /proto bird .*via|via.* proto bird/);
      await reachesAll(lab);
      await setIpv6(lab, status, "node2", "2001:db8:1::12");
      await waitFor(async () => (await lab.status()).nodes.every(({ peers }) => allUp(peers, 2)), {
        timeoutMs: 60_000,
        what: "the IPv6 session",
      });
    });
    await reachesAll(lab);
  });
});

suite("VXLANCrossSubnet of both families", () => {
  const lab = new TestLab("mv");
  let status: LabStatus;

  before(async () => {
    await lab.mustLab("up", "--ip-family", "dual", "--pods", "1");
    status = await lab.status();
  });
  after(() => lab.down());

  test("a node of IPv4 alone beside dual-stack nodes: IPv4 everywhere, IPv6 among the others", async () => {
    await setIpv6(lab, status, "node2", null);
    await reachesAll(lab);
    const { flows } = await lab.check();
    const without = flows.filter(({ because }) => because === "node2 has no IPv6 address");
    // Two nodes and two pods to its pod, its pod to two others; ICMP, TCP and UDP.
    assert.equal(without.length, (4 + 2) * 3);
    assert.ok(without.every(({ reached, address }) => !reached && address.includes(":")));
    await setIpv6(lab, status, "node2", "2001:db8:1::12");
    await reachesAll(lab);
  });

  test("routes and tunnels follow a node's new IPv6 address", async () => {
    await setIpv6(lab, status, "node3", "2001:db8:2::93", "2001:db8:2::13");
    await reachesAll(lab);
    const fdb = await lab.inside(netnsOf(status, "node1"), "bridge", "fdb", "show");
    assert.match(fdb, / dst 2001:db8:2::93 /);
    assert.doesNotMatch(fdb, /2001:db8:2::13/);
    const { netns } = status.nodes[2] ?? assert.fail("no node3");
    const link = await lab.inside(netns, "ip", "-d", "link", "show", "vxlan-v6.calico");
    assert.match(link, /local 2001:db8:2::93 /);
    await setIpv6(lab, status, "node2", "2001:db8:1::92", "2001:db8:1::12");
    await reachesAll(lab);
    assert.match(await routes(lab, status, "node1"), / via 2001:db8:1::92 dev eth0 /);
    await allEstablished(lab);
  });

  test("a disabled pool gives no address, and its pods are reached as before", async () => {
    await patch(lab, "ippool", "default-ipv6-ippool", { disabled: true });
    const refused = await lab.lab("pod", "add", "node1", "late");
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /disabled/);
    await reachesAll(lab);
    await patch(lab, "ippool", "default-ipv6-ippool", { disabled: false });
  });

  test("addresses borrowed of another node's block are reached, in both families", async () => {
    for (const pool of ["default-ipv4-ippool", "default-ipv6-ippool"]) {
      await patch(lab, "ippool", pool, { disabled: true });
    }
    await lab.apply(tinyPools);
    for (const node of ["node1", "node2", "node3"]) {
      await lab.mustLab("pod", "add", node, "borrower");
    }
    const { pods, nodes } = await lab.status();
    const addresses = pods
      .filter(({ name }) => name === "borrower")
      .flatMap((pod) => pod.addresses);
    assert.equal(addresses.filter((address) => address.startsWith("fd00:99::")).length, 3);
    const owners = nodes.filter(({ blocks }) => blocks.includes("fd00:99::/122"));
    assert.equal(owners.length, 1);
    await reachesAll(lab);
    for (const mode of ["Always", "CrossSubnet"]) {
      for (const pool of ["tiny4", "tiny6"]) await patch(lab, "ippool", pool, { vxlanMode: mode });
      await reachesAll(lab);
    }
  });

  test("what a node had goes with it, and is there again when it is back", async () => {
    // With a Node the controllers take back what its pods had.
    for (const pod of ["pod1", "borrower"]) await lab.mustLab("pod", "rm", "node3", pod);
    const { pids, netns, blocks } = (await lab.status()).nodes[2] ?? assert.fail("no node3");
    const env = environmentOf(pids.node ?? assert.fail("node3 does not run"));
    for (const pid of [pids.node, pids.felix, pids.bgp]) process.kill(pid ?? 0, "SIGKILL");
    assert.equal((await lab.cli(["delete", "node", "node3"])).code, 0);
    await waitFor(
      async () => {
        const { nodes } = await lab.status();
        const text = await routes(lab, status, "node1");
        const others = nodes.filter(({ name }) => name !== "node3");
        return (
          others.every(({ peers }) => allUp(peers, 2)) &&
          !blocks.some((cidr) => text.includes(cidr))
        );
      },
      { timeoutMs: 60_000, what: "node1 to forget node3" },
    );
    const fdb = await lab.inside(netnsOf(status, "node1"), "bridge", "fdb", "show");
    assert.doesNotMatch(fdb, /2001:db8:2::/);
    const child = spawn("nsenter", [`--net=/run/netns/${netns}`, tortie, "node"], {
      detached: true,
      stdio: "ignore",
      env,
    });
    child.unref();
    await waitFor(async () => (await lab.status()).nodes.every(({ peers }) => allUp(peers, 4)), {
      timeoutMs: 60_000,
      what: "all sessions",
    });
    await waitFor(
      async () => {
        const added = await lab.lab("pod", "add", "node3", "next");
        if (added.code !== 0) await lab.lab("pod", "rm", "node3", "next");
        return added.code === 0;
      },
      { intervalMs: 500, what: "a pod on node3" },
    );
    await reachesAll(lab);
  });
});

suite("a cluster that gets another family", () => {
  const lab = new TestLab("mg");
  let status: LabStatus;

  before(async () => {
    await lab.mustLab("up", "--nodes", "2", "--segments", "1", "--encapsulation", "None");
    status = await lab.status();
  });
  after(() => lab.down());

  test("its new pods have both, the others keep theirs, and no packet is lost", async () => {
    await losesNoPacket(status, async () => {
      for (const { name, netns, address } of status.nodes) {
        const own = `2001:db8:1::${address.split(".").at(-1)}/64`;
        await lab.inside(netns, "ip", "address", "add", own, "dev", "eth0", "nodad");
        await patch(lab, "node", name, { bgp: { ipv6Address: own } });
      }
      await lab.apply(dualStackPool);
      assignBoth(lab);
      for (const node of ["node1", "node2"]) await lab.mustLab("pod", "add", node, "dual");
      await waitFor(async () => (await lab.status()).nodes.every(({ peers }) => allUp(peers, 2)), {
        timeoutMs: 60_000,
        what: "the IPv6 session",
      });
    });
    const { pods } = await lab.status();
    assert.deepEqual(
      pods.map(({ name, addresses }) => [name, addresses.length]),
      ["node1", "node2"].flatMap(() => [
        ["dual", 2],
        ["pod1", 1],
        ["pod2", 1],
      ]),
    );
    const [one, two] = pods.filter(({ name }) => name === "dual");
    const target = two?.addresses[1] ?? assert.fail("no address");
    await waitFor(() => lab.inside(one?.netns ?? "", "ping", "-c1", "-W1", target), {
      what: "an answer",
    });
  });
});

suite("IPv4 pods on nodes of IPv6 alone (RFC 8950)", () => {
  const lab = new TestLab("me");

  before(async () => {
    const args = ["--nodes", "2", "--segments", "1", "--encapsulation", "None", "--pods", "0"];
    await lab.mustLab("up", ...args, "--ip-family", "ipv6");
  });
  after(() => lab.down());

  test("IPv4 goes from pod to pod by the nodes' IPv6 addresses", async () => {
    await lab.apply(extendedNextHops);
    assignBoth(lab);
    for (const { netns } of (await lab.status()).nodes) {
      // Without an IPv4 default route the host's proxy ARP does not answer pods.
      const words = ["default", "via", "inet6", "2001:db8:1::1", "dev", "eth0"];
      await lab.inside(netns, "ip", "-4", "route", "add", ...words);
    }
    for (const node of ["node1", "node2"]) await lab.mustLab("pod", "add", node, "dual");
    const { nodes, pods } = await lab.status();
    const block = nodes[1]?.blocks.find((cidr) => !cidr.includes(":")) ?? assert.fail("no block");
    const route = `${block} via inet6 2001:db8:1::12 dev eth0 proto bird metric 1024`;
    const { netns } = nodes[0] ?? assert.fail("no node");
    await waitFor(async () => (await lab.inside(netns, "ip", "-4", "route")).includes(route), {
      timeoutMs: 60_000,
      what: route,
    });
    const [from, to] = pods;
    const answer = await lab.inside(
      from?.netns ?? "",
      ...["ping", "-c3", "-i0.2", to?.addresses[0] ?? ""],
    );
    assert.match(answer, / 0% packet loss/);
  });
});

/** What an administrator changes in the nodes' conflist. */
function assignBoth(lab: TestLab): void {
  const { conflist } = labPaths(lab.name, { TORTIE_LAB_DIR: lab.folder });
  const text = readFileSync(conflist, "utf8");
  writeFileSync(conflist, text.replaceAll(/("assign_ipv[46]": )"false"/g, '$1"true"'));
}

const dualStackPool = `
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: v6}
spec: {cidr: "fd00:10:244::/64"}
`;

const extendedNextHops = `
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: v4}
spec: {cidr: 10.77.0.0/16}
---
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec: {nodeToNodeMeshEnabled: false}
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: all, annotations: {tortie.dev/extended-next-hop: "true"}}
spec: {nodeSelector: all(), peerSelector: all()}
`;

const tinyPools = `
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: tiny4}
spec: {cidr: 10.99.0.0/26, vxlanMode: CrossSubnet, natOutgoing: true}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: tiny6}
spec: {cidr: "fd00:99::/122", vxlanMode: CrossSubnet}
`;

/** Changes are on their way for a while. */
async function reachesAll(lab: TestLab): Promise<void> {
  const wrong = async () => (await lab.check()).mismatches;
  await waitFor(async () => (await wrong()).length === 0, {
    timeoutMs: 60_000,
    what: "the matrix",
  });
  assert.deepEqual(await wrong(), []);
}

function allUp(peers: LabStatus["nodes"][number]["peers"], count: number): boolean {
  return peers.length === count && peers.every(({ state }) => state === "Established");
}

/** Gives a node another IPv6 address, or none: in its kernel, and in its Node. */
async function setIpv6(
  lab: TestLab,
  status: LabStatus,
  name: string,
  address: string | null,
  before?: string,
): Promise<void> {
  const { netns, addresses, segment } =
    status.nodes.find((node) => node.name === name) ?? assert.fail(`no ${name}`);
  const [v4 = "", planned = ""] = addresses;
  const old = before ?? (address === null ? planned : undefined);
  const ip = (...args: string[]) => lab.inside(netns, "ip", "-6", ...args);
  if (old !== undefined) await ip("address", "del", `${old}/64`, "dev", "eth0");
  if (address !== null) {
    await ip("address", "add", `${address}/64`, "dev", "eth0", "nodad");
    await ip("route", "replace", "default", "via", `2001:db8:${segment}::1`);
  }
  const text = address === null ? null : `${address}/64`;
  const own = [`${v4}/24`, ...(text === null ? [] : [text])];
  await patch(lab, "node", name, {
    bgp: { ipv6Address: text },
    addresses: own.map((one) => ({ address: one, type: "CalicoNodeIP" })),
  });
}

async function patch(lab: TestLab, kind: string, name: string, spec: object): Promise<void> {
  const { code, stderr } = await lab.cli(["patch", kind, name, "-p", JSON.stringify({ spec })]);
  assert.equal(code, 0, stderr);
}

function netnsOf({ nodes }: LabStatus, name: string): string {
  return nodes.find((node) => node.name === name)?.netns ?? assert.fail(`no ${name}`);
}

/** Of IPv6. */
function routes(lab: TestLab, status: LabStatus, node: string): Promise<string> {
  return lab.inside(netnsOf(status, node), "ip", "-6", "route");
}

function environmentOf(pid: number): Record<string, string> {
  const entries = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  return Object.fromEntries(
    entries
      .filter((entry) => entry.includes("="))
      .map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]),
  );
}
