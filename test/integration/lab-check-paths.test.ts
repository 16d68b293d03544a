import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { LabStatus } from "../../src/lab/lab-status.ts";
import type { PathReport } from "../../src/paths/run-check.ts";
import { run, TestLab } from "../support/lab.ts";

/**
 * `tortie node check-paths` between three nodes whose pods' packets go by VXLAN, while somebody breaks the
 * network between them: the router is ours to break.
 */

const lab = new TestLab("cp", {
  FELIX_PATHCHECKS: "Enabled",
  // veths compute no checksum unless somebody below them asks for it: then there is none to be wrong.
  FELIX_FEATUREDETECTOVERRIDE: "ChecksumOffloadBroken=true",
});
let status: LabStatus;

before(async () => {
  await lab.mustLab("up", "--encapsulation", "VXLAN", "--pods", "0");
  status = await lab.status();
});
after(() => lab.down());

async function checkFrom(node: string, ...args: readonly string[]) {
  const socket = join(lab.folder, lab.name, "nodes", node, "run", "paths.sock");
  return lab.cli(["node", "check-paths", "--socket", socket, ...args]);
}

async function reportFrom(node: string, ...args: readonly string[]): Promise<PathReport> {
  return JSON.parse((await checkFrom(node, ...args, "-o", "json")).stdout) as PathReport;
}

function addressOf(node: string): string {
  return status.nodes.find(({ name }) => name === node)?.address ?? assert.fail(`no ${node}`);
}

test("a dry run tells the paths, a run that they are sound, and a node that is not there is told", async () => {
  const { stdout } = await checkFrom("node1", "--dry-run");
  assert.match(stdout, /node2 +underlay +eth0 .* 1500\n/);
  assert.match(stdout, /node3 +vxlan +vxlan\.calico .* 1450\n/);

  const report = await reportFrom("node1");
  // That a tunnel is slow says something of the machine, too.
  assert.deepEqual(
    report.findings.filter(({ severity }) => severity === "problem"),
    [],
  );
  const seen = report.peers.flatMap(({ node, paths }) =>
    paths.map(({ path, answered, mtu }) => [
      node,
      path.carrier,
      answered,
      mtu?.there.largest,
      mtu?.back?.largest,
    ]),
  );
  assert.deepEqual(seen.toSorted(), [
    ["node2", "underlay", 1, 1500, 1500],
    ["node2", "vxlan", 1, 1450, 1450],
    ["node3", "underlay", 1, 1500, 1500],
    ["node3", "vxlan", 1, 1450, 1450],
  ]);
  assert.ok(
    report.peers.every(({ paths }) => paths.every(({ megabitsPerSecond: speed = 0 }) => speed > 0)),
  );

  const { code, stdout: text } = await checkFrom("node1", "node9");
  assert.deepEqual([code, /node9: there is no such node/.test(text)], [1, true]);
});

test("names a filtered UDP 4789, wrong checksums and a size from which on packets vanish", async () => {
  const vxlanTo = (node: string) => `ip daddr ${addressOf(node)} udp dport 4789`;
  // Behind the outer UDP and VXLAN: Ethernet, IP, and six octets into UDP.
  const innerChecksum = `@th,${8 * (8 + 8 + 14 + 20 + 6)},16`;
  // Of both ends: where br_netfilter is loaded, the rule sees what the bridges forward, too.
  const ends = ["-s", addressOf("node1"), "-d", addressOf("node3")];
  const filter = ["FORWARD", "-p", "udp", "--dport", "4789", ...ends, "-j", "DROP"];
  await lab.inside(status.router, "iptables", "-I", ...filter);
  const rules = `table netdev broken {
    chain from1 { type filter hook ingress device port1 priority 0;
      ${vxlanTo("node2")} ${innerChecksum} != 0 ${innerChecksum} set 0xdead; }
    chain from2 { type filter hook ingress device port2 priority 0;
      ${vxlanTo("node3")} ip length > 1350 drop; }
  }`;
  const nsenter = [`--net=/run/netns/${status.router}`, "nft", "-f", "-"];
  const { code, stderr } = await run("nsenter", nsenter, { input: rules });
  assert.equal(code, 0, stderr);

  const [from1, from2, text] = await Promise.all([
    reportFrom("node1", "node2", "node3", "--no-throughput"),
    reportFrom("node2", "node3", "--no-throughput"),
    checkFrom("node3", "node2", "--no-throughput"),
  ]);
  const found = [from1, from2]
    .flatMap(({ findings }) => findings)
    .map((one) => [one.code, one.from, one.to, one.text]);
  assert.deepEqual(found.toSorted(), [
    [
      "checksum",
      "node1",
      "node2",
      "checksums of packets from node1 to node2 through vxlan.calico are wrong: node2's kernel counted 3",
    ],
    [
      "filtered",
      "node1",
      "node3",
      "UDP 4789 is filtered between node1 and node3: of 3 probes of node1 none arrived",
    ],
    [
      "mtu",
      "node2",
      "node3",
      "packets above 1300 bytes vanish from node2 to node3 through vxlan.calico, whose MTU is 1450",
    ],
  ]);
  assert.equal(text.code, 2);
  assert.match(
    text.stdout,
    /PROBLEM: packets above 1300 bytes vanish from node2 to node3.*\n {2}do: set vxlanMTU: 1300/,
  );
});
