import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { LabStatus } from "../../src/lab/lab-status.ts";
import { type IpFamily, ipFamily, parseIpAddr } from "../../src/lib/ip-addr.ts";
import { Background, TestLab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";

/** IPv6 alone and dual stack in each mode: who reaches whom, the routes, the outer header, the MTU. */

type Way = "direct" | "tunnel";

interface Mode {
  readonly encapsulation: string;
  readonly args: readonly string[];
  /** Who programs routes by the node's address: the speaker, or felix. */
  readonly owner: "bird" | "80";
  /** To node2, of the same segment, and to node3. */
  readonly ways: Readonly<Record<"node2" | "node3", Way>>;
  readonly podMtu: number;
}

const modes: readonly Mode[] = [
  {
    encapsulation: "None",
    args: ["--segments", "1"],
    owner: "bird",
    ways: { node2: "direct", node3: "direct" },
    podMtu: 1500,
  },
  {
    encapsulation: "VXLAN",
    args: [],
    owner: "80",
    ways: { node2: "tunnel", node3: "tunnel" },
    podMtu: 1430,
  },
  {
    encapsulation: "VXLANCrossSubnet",
    args: [],
    owner: "80",
    ways: { node2: "direct", node3: "tunnel" },
    podMtu: 1430,
  },
];

const devices: Readonly<Record<IpFamily, string>> = { 4: "vxlan.calico", 6: "vxlan-v6.calico" };
const familiesOf: Readonly<Record<string, readonly IpFamily[]>> = { ipv6: [6], dual: [4, 6] };

for (const ipFamilyName of ["ipv6", "dual"]) {
  for (const [index, mode] of modes.entries()) {
    suite(`${mode.encapsulation}, ${ipFamilyName}`, () => checkMode(index, ipFamilyName, mode));
  }
}

function checkMode(index: number, ipFamilyName: string, mode: Mode): void {
  const lab = new TestLab(`l${ipFamilyName[0]}${index}`);
  const families = familiesOf[ipFamilyName] ?? [];
  let status: LabStatus;

  before(async () => {
    const modeArgs = ["--encapsulation", mode.encapsulation, ...mode.args];
    await lab.mustLab("up", ...modeArgs, "--ip-family", ipFamilyName, "--pods", "1");
    status = await lab.status();
  });
  after(() => lab.down());

  test("all reach all, pods by their own addresses", async () => {
    const { flows, mismatches } = await lab.check();
    assert.deepEqual(mismatches, []);
    assert.equal(flows.length, 3 * 5 * 3 * families.length);
    const own = new Map(status.pods.map(({ node, addresses }) => [`${node}/pod1`, addresses]));
    for (const { from, reached, seenAs } of flows) {
      assert.ok(reached);
      const addresses = own.get(from);
      if (addresses !== undefined && seenAs !== undefined) assert.ok(addresses.includes(seenAs));
    }
  });

  for (const family of families) {
    test(`IPv${family} routes of node1 are Calico's`, async () => {
      const tunnelAddresses = await tunnelAddressesOf(lab, family);
      const wanted = wantedRoutes({ status, mode, family, tunnelAddresses });
      assert.deepEqual(await podRoutes(lab, nodeOf(status, "node1").netns, family), wanted);
      const known = mode.owner === "bird" ? [] : await podRoutes(lab, status.router, family);
      assert.deepEqual(known, []);
    });

    for (const to of ["node2", "node3"] as const) {
      test(`IPv${family} to ${to} on the wire: ${mode.ways[to]}`, async () => {
        const text = await captured(lab, status, { family, to });
        const [outer, inner] = wirePatterns(status, { family, to });
        assert.equal(outer.test(text), mode.ways[to] === "tunnel", text);
        assert.equal(inner.test(text), mode.ways[to] === "direct", text);
      });
    }

    test(`IPv${family} packets as large as the pod's MTU pass, and no larger`, async () => {
      const { netns } = podOf(status, "node1");
      const target = addressOf(podOf(status, "node3").addresses, family);
      const headers = family === 4 ? 28 : 48;
      const ping = (size: number) =>
        lab.inside(netns, "ping", ...["-c2", "-i0.2", "-Mdo", `-s${size - headers}`, target]);
      await ping(mode.podMtu);
      await assert.rejects(ping(mode.podMtu + 1), /message too long/i);
    });
  }

  test("what leaves the cluster has the node's address where its pool has natOutgoing", async () => {
    if (!families.includes(6)) return;
    const outside = "2001:db8:cafe::10";
    const { netns, addresses } = podOf(status, "node1");
    const own = addressOf(addresses, 6);
    // Off by default in IPv6 (facts 1.1), and then nobody can answer.
    assert.match(await seenFrom(outside), new RegExp(`IP6 ${own} > ${outside}`));
    const spec = '{"spec":{"natOutgoing":true}}';
    await lab.cli(["patch", "ippool", "default-ipv6-ippool", "-p", spec]);
    await waitFor(() => lab.inside(netns, "ping", "-c1", "-W1", outside), { what: "an answer" });
    const node = addressOf(nodeOf(status, "node1").addresses, 6);
    assert.match(await seenFrom(outside), new RegExp(`IP6 ${node} > ${outside}`));

    async function seenFrom(to: string): Promise<string> {
      const dump = await tcpdump(status.router, `icmp6 and dst ${to}`);
      await lab.inside(netns, "ping", "-c1", "-W1", to).catch(() => undefined);
      await waitFor(() => dump.printed.includes(`> ${to}`), { what: "the packet" });
      return dump.stop();
    }
  });
}

function nodeOf({ nodes }: LabStatus, name: string): LabStatus["nodes"][number] {
  return nodes.find((node) => node.name === name) ?? assert.fail(`no ${name}`);
}

function podOf({ pods }: LabStatus, node: string): LabStatus["pods"][number] {
  return pods.find((pod) => pod.node === node) ?? assert.fail(`no pod on ${node}`);
}

function addressOf(addresses: readonly string[], family: IpFamily): string {
  const found = addresses.find((address) => ipFamily(parseIpAddr(address)) === family);
  return found ?? assert.fail(`no IPv${family} address among ${addresses}`);
}

/** By node. */
async function tunnelAddressesOf(
  lab: TestLab,
  family: IpFamily,
): Promise<ReadonlyMap<string, string>> {
  const { stdout } = await lab.cli(["get", "node", "-o", "json"]);
  const { items } = JSON.parse(stdout) as {
    items: { metadata: { name: string }; spec: Record<string, string> }[];
  };
  return new Map(
    items.map(({ metadata, spec }) => [metadata.name, spec[`ipv${family}VXLANTunnelAddr`] ?? ""]),
  );
}

/** Routes to addresses of pods, sorted, without the names of pods' interfaces. */
async function podRoutes(lab: TestLab, netns: string, family: IpFamily): Promise<string[]> {
  const text = await lab.inside(netns, "ip", `-${family}`, "route");
  return text
    .split("\n")
    .map((line) =>
      line
        .trim()
        .replace(/ pref medium$/, "")
        .replace(/ dev cali\w+/, " dev cali"),
    )
    .filter((line) => /10\.244\.|fd00:10:244/.test(line))
    .sort();
}

/** Facts 4.15, the worked table: what node1 has. */
function wantedRoutes(of: {
  readonly status: LabStatus;
  readonly mode: Mode;
  readonly family: IpFamily;
  readonly tunnelAddresses: ReadonlyMap<string, string>;
}): string[] {
  const { status, mode, family, tunnelAddresses } = of;
  const block = (name: string) =>
    nodeOf(status, name).blocks.find((cidr) => cidr.includes(":") === (family === 6)) ?? "";
  // Metrics are shown where they are not 0, and in IPv6 they never are.
  const tail = mode.owner === "bird" || family === 6 ? " metric 1024" : "";
  const remote = (["node2", "node3"] as const).map((name) => {
    if (mode.ways[name] === "direct") {
      const gateway = addressOf(nodeOf(status, name).addresses, family);
      const onlink = mode.owner === "80" ? " onlink" : "";
      return `${block(name)} via ${gateway} dev eth0 proto ${mode.owner}${tail}${onlink}`;
    }
    return `${block(name)} via ${tunnelAddresses.get(name)} dev ${devices[family]}${tail} onlink`;
  });
  const lo = family === 6 ? " dev lo" : "";
  const pod = addressOf(podOf(status, "node1").addresses, family);
  const scope = family === 4 ? " scope link" : "";
  const ownTunnel = `${tunnelAddresses.get("node1")} dev ${devices[6]} proto kernel metric 256`;
  return [
    ...remote,
    `blackhole ${block("node1")}${lo} proto ${mode.owner}${tail}`,
    `${pod} dev cali${scope} metric 1024`,
    ...(family === 6 && mode.owner === "80" ? [ownTunnel] : []),
  ].sort();
}

interface Crossing {
  readonly family: IpFamily;
  readonly to: "node2" | "node3";
}

/** What the router sees of a ping from node1's pod, up to an answer. */
async function captured(lab: TestLab, status: LabStatus, crossing: Crossing): Promise<string> {
  const { family, to } = crossing;
  const from = podOf(status, "node1");
  const target = addressOf(podOf(status, to).addresses, family);
  const dump = await tcpdump(status.router, "udp port 4789 or icmp or icmp6");
  await lab.inside(from.netns, "ping", "-c2", "-i0.2", target);
  const answer = `${target} > ${addressOf(from.addresses, family)}: ICMP`;
  await waitFor(() => dump.printed.includes(answer), { what: answer });
  return dump.stop();
}

/** A packet in VXLAN between the nodes, and a bare one. */
function wirePatterns(status: LabStatus, { family, to }: Crossing): [RegExp, RegExp] {
  const ip = family === 4 ? "IP" : "IP6";
  const pods = [podOf(status, "node1"), podOf(status, to)].map(({ addresses }) =>
    addressOf(addresses, family),
  );
  const nodes = ["node1", to].map((name) => addressOf(nodeOf(status, name).addresses, family));
  const inner = `${ip} ${pods[0]} > ${pods[1]}: ICMP6?,? echo request`;
  const outer = `${ip} ${nodes[0]}\\.\\d+ > ${nodes[1]}\\.4789: VXLAN, flags \\[I\\] \\(0x08\\), vni 4096\\n`;
  return [new RegExp(`${outer}${inner}`), new RegExp(` (In|Out)\\s+${inner}`)];
}

async function tcpdump(netns: string, filter: string): Promise<Background> {
  const dump = new Background(netns, "tcpdump", "-lnni", "any", filter);
  await waitFor(() => dump.output.includes("listening"), { what: "tcpdump" });
  return dump;
}
