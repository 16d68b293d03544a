import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Node } from "../../src/api/resources/node.ts";
import { run, TestLab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";

/** Path checks that nodes make by themselves: condition of the Node, metrics. */

const lab = new TestLab("cpl", {
  FELIX_VXLANMTU: "1350",
  // veths compute no checksum unless somebody below them asks for it: then there is none to be wrong.
  FELIX_FEATUREDETECTOVERRIDE: "ChecksumOffloadBroken=true",
  FELIX_PROMETHEUSMETRICSENABLED: "true",
  FELIX_PROMETHEUSMETRICSHOST: "127.0.0.1",
});

const configuration = (spec: string) => `
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: ${spec}
`;

before(async () => {
  await lab.mustLab("up", "--encapsulation", "VXLAN", "--pods", "1", "--ip-family", "dual");
  await lab.apply(configuration("{pathChecks: Enabled, pathCheckInterval: 1s}"));
});
after(() => lab.down());

async function node1(): Promise<Node> {
  return JSON.parse((await lab.cli(["get", "node", "node1", "-o", "json"])).stdout) as Node;
}

async function conditionIs(status: "True" | "False" | "Unknown") {
  return waitFor(
    async () => {
      const condition = (await node1()).status?.conditions?.[0];
      return condition?.status === status ? condition : undefined;
    },
    { timeoutMs: 60_000, what: `CalicoPathHealthy ${status}` },
  );
}

test("a filtered UDP 4789 is in the Node's condition and in felix' metrics, and goes again", async () => {
  assert.equal((await conditionIs("True")).type, "CalicoPathHealthy");
  const { router, nodes } = await lab.status();
  const rule = ["FORWARD", "-p", "udp", "--dport", "4789", "-j", "DROP"];
  await lab.inside(router, "iptables", "-I", ...rule);
  const { message, reason } = await conditionIs("False");
  assert.match(message, /UDP 4789 is filtered between node1 and node3/);
  assert.equal(reason, "Filtered");
  const { netns = "" } = nodes.find(({ name }) => name === "node1") ?? {};
  const ask =
    "exec 3<>/dev/tcp/127.0.0.1/9091; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
  const metrics = await lab.inside(netns, "bash", "-c", ask);
  assert.match(metrics, /^felix_path_healthy\{path="vxlan"\} 0$/m);
  assert.match(metrics, /^felix_path_healthy\{path="vxlan-v6"\} 1$/m);
  assert.match(metrics, /^felix_path_healthy\{path="underlay"\} 1$/m);
  await lab.inside(router, "iptables", "-D", ...rule);
  await conditionIs("True");
});

test("vxlanMTU is the MTU of the device, of pods, and what a check finds to pass", async () => {
  const { nodes, pods } = await lab.status();
  const { netns = "" } = nodes.find(({ name }) => name === "node1") ?? {};
  assert.match(await lab.inside(netns, "ip", "link", "show", "vxlan.calico"), / mtu 1350 /);
  const pod = pods.find(({ node }) => node === "node1")?.netns ?? "";
  assert.match(await lab.inside(pod, "ip", "link", "show", "eth0"), / mtu 1350 /);
  const { stdout } = await check(0);
  assert.match(stdout, /vxlan\.calico .* yes .* 1350\n/);
});

test("IPv6 has its own ports, checksums and sizes", async () => {
  const { router, nodes } = await lab.status();
  const { netns = "" } = nodes.find(({ name }) => name === "node3") ?? {};
  const shown = await lab.inside(netns, "ip", "-6", "-o", "address", "show", "dev", "eth0");
  const [, node3 = ""] = /inet6 (2001:\S+)\/\d+ scope global/.exec(shown) ?? assert.fail(shown);
  // Behind the outer UDP and VXLAN: Ethernet, IPv6, and six octets into UDP.
  const innerChecksum = `@th,${8 * (8 + 8 + 14 + 40 + 6)},16`;
  const breaks = [
    ["drop", /PROBLEM: UDP 4789 over IPv6 is filtered between node1 and node3: of 3 probes/],
    [
      `${innerChecksum} set 0xdead`,
      /PROBLEM: checksums of packets from node1 to node3 through vxlan-v6.calico/,
    ],
    [
      "meta length > 1300 drop",
      /PROBLEM: packets above 1230 bytes vanish .* through vxlan-v6.calico/,
    ],
  ] as const;
  for (const [statement, found] of breaks) {
    const rules = `table inet broken { chain forward { type filter hook forward priority 0;
      ip6 daddr ${node3} udp dport 4789 ${statement}; }; }`;
    const nft = [`--net=/run/netns/${router}`, "nft", "-f", "-"];
    assert.equal((await run("nsenter", nft, { input: rules })).code, 0);
    assert.match((await check(2)).stdout, found);
    await lab.inside(router, "nft", "delete", "table", "inet", "broken");
  }
});

/** A check of node3 from node1 that ends so; a check of its own may be under way. */
function check(code: number) {
  const socket = join(lab.folder, lab.name, "nodes", "node1", "run", "paths.sock");
  const ask = ["node", "check-paths", "node3", "--no-throughput", "--socket", socket];
  return waitFor(
    async () => {
      const ran = await lab.cli(ask);
      return ran.code === code ? ran : undefined;
    },
    { timeoutMs: 60_000, intervalMs: 500, what: `a check that ends in ${code}` },
  );
}

test("nodes that are told to stop answer nobody, take their keys away, and their condition is Unknown", async () => {
  const { nodes } = await lab.status();
  const { netns = "" } = nodes.find(({ name }) => name === "node1") ?? {};
  const listens = async () => /:5474 /.test(await lab.inside(netns, "ss", "-Hlntu"));
  const key = async () => (await node1()).metadata.annotations?.["tortie.dev/path-check-key"];
  assert.equal(await listens(), true);
  assert.ok(await key());
  await lab.apply(configuration("{pathChecks: Disabled}"));
  await conditionIs("Unknown");
  assert.equal(await key(), undefined);
  await waitFor(async () => !(await listens()), { timeoutMs: 60_000, what: "nobody to listen" });
});
