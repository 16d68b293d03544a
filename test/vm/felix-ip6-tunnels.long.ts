import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { encapsulationAnnotation } from "../../src/api/pool-encapsulation.ts";
import { block, pool, profile } from "../states/resources.ts";
import { Background } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";
import { reaches, type Segment, TwoSegments } from "./segments.ts";

/** Two nodes of two segments with a router between, a pod each: IPv6 in IPv6, and in IPv4, between segments. */

const timeoutMs = 240_000;
const segments = new TwoSegments("ip6", { FELIX_IPV6SUPPORT: "true" });
const { a, b, router, datastore } = segments;
const numbers = { a: 1, b: 2 } as const;
const numberOf = ({ name }: Segment) => numbers[name as keyof typeof numbers];
const nodeV6 = (of: Segment) => `2001:db8:${numberOf(of)}::11`;
const podV6 = (of: Segment) => `fd00::${numberOf(of)}:1`;
const tunnelV6 = (of: Segment) => `fd00::${numberOf(of)}:2`;
const gateway = "fe80::ecee:eeff:feee:eeee";

before(async () => {
  execFileSync("modprobe", ["-a", "ip6_tunnel", "sit"]);
  router.run("sysctl", ["-qw", "net.ipv6.conf.all.forwarding=1"]);
  for (const segment of [a, b]) addIpv6(segment);
  await segments.start(
    [
      pool("default", "10.0.0.0/16", { vxlanMode: "Never" }),
      pool("v6", "fd00::/64"),
      ...[a, b].map((of) =>
        block(`fd00::${numberOf(of)}:0/125`, of.node, { 1: of.node, 2: of.node }),
      ),
      profile("kns.prod"),
    ],
    (of) => ({
      bgp: { ipv4Address: `${of.nodeAddress}/24`, ipv6Address: `${nodeV6(of)}/64` },
      ipv6VXLANTunnelAddr: tunnelV6(of),
    }),
  );
  for (const segment of [a, b]) {
    const name = `node--${segment.name}-k8s-pod-eth0`;
    const { items } = await datastore.list("WorkloadEndpoint");
    const stored = items.find(({ metadata }) => metadata.name === name);
    assert.ok(stored !== undefined, name);
    const ipNetworks = [`${segment.podAddress}/32`, `${podV6(segment)}/128`];
    await datastore.update<"WorkloadEndpoint">({
      ...stored,
      spec: { ...stored.spec, ipNetworks },
    });
  }
});
after(() => segments.close());

function addIpv6(of: Segment): void {
  const { netns, podNetns, name } = of;
  const number = numberOf(of);
  netns.ip(`address add ${nodeV6(of)}/64 dev eth0 nodad`);
  router.ip(`address add 2001:db8:${number}::1/64 dev seg${number} nodad`);
  netns.ip(`-6 route add default via 2001:db8:${number}::1`);
  const mac = netns.ipJson<{ address: string }>(`link show cali${name}`)[0]?.address ?? "";
  podNetns.ip(`address add ${podV6(of)}/128 dev eth0 nodad`);
  podNetns.ip(`-6 route add default via ${gateway} dev eth0`);
  podNetns.ip(`neighbor add ${gateway} lladdr ${mac} dev eth0`);
}

async function setMode(value: string): Promise<void> {
  const stored = await datastore.get<"IPPool">({ kind: "IPPool", name: "v6" });
  const annotations = { [encapsulationAnnotation]: value };
  await datastore.update<"IPPool">({ ...stored, metadata: { ...stored.metadata, annotations } });
}

const modes = [
  {
    mode: "IP6IP6",
    // An underlay route that is not the default one: Linux takes no gateway behind it (docs/ipv6.md).
    before: () => a.netns.ip("-6 route add 2001:db8:2::/64 via 2001:db8:1::1"),
    route: `fd00::2:0/125 +encap ip6 id 0 src ${nodeV6(a)} dst ${nodeV6(b)} .*dev ip6ip6.tortie proto 80`,
    outer: `IP6 ${nodeV6(a)} > ${nodeV6(b)}: IP6 `,
    mtu: 1460,
  },
  {
    mode: "SITCrossSubnet",
    // The pod remembers how large a packet the tunnel before could take.
    before: () => a.podNetns.ip("-6 route flush cache"),
    route: `fd00::2:0/125 via ::${b.nodeAddress} dev sit.tortie proto 80 .*onlink`,
    outer: `IP ${a.nodeAddress} > ${b.nodeAddress}: IP6 `,
    mtu: 1480,
  },
];

for (const { mode, before: prepare, route, outer, mtu } of modes) {
  test(`${mode}: the route, pods and nodes reach the other segment's pods, nothing of it is plain on the wire`, async () => {
    prepare();
    await setMode(mode);
    const routes = () => a.netns.ip("-6 route");
    await waitFor(() => new RegExp(`^${route}`, "m").test(routes()), {
      timeoutMs,
      what: "the route",
    });
    await waitFor(() => reaches(a.podNetns, podV6(b)), { timeoutMs, what: "the other pod" });
    const dump = new Background(router.name, "tcpdump", "-lni", "seg2");
    await waitFor(() => dump.output.includes("listening"), { timeoutMs, what: "tcpdump" });
    assert.ok(reaches(a.podNetns, podV6(b)), "pod to pod");
    assert.ok(reaches(a.netns, podV6(b)), "node to pod");
    const wanted = [podV6(a), tunnelV6(a)].map(
      (from) => `${outer}${from} > ${podV6(b)}: ICMP6, echo request`,
    );
    await waitFor(() => wanted.every((text) => dump.output.includes(text)), {
      timeoutMs,
      what: "the outer packets",
    });
    const lines = (await dump.stop()).split("\n").filter((line) => line.includes("echo"));
    for (const line of lines) assert.match(line, /: IP6 /, line);
  });

  test(`${mode}: the largest packet passes with DF, a larger one gets its ICMP`, () => {
    const sized = (octets: number) => ["-c1", "-W4", "-M", "do", "-s", `${octets - 48}`, podV6(b)];
    a.podNetns.run("ping", sized(mtu));
    const refused = () => a.podNetns.run("ping", sized(mtu + 1));
    assert.throws(refused, (error: { stdout: string; stderr: string }) => {
      assert.match(error.stdout + error.stderr, new RegExp(`mtu ?[=:] ?${mtu}`, "i"));
      return true;
    });
  });

  test(`${mode}: what is no node's is dropped`, async () => {
    const [family, save, chainOf] = mode.startsWith("SIT")
      ? (["sit", "iptables-save", b.nodeAddress] as const)
      : (["ip6ip6", "ip6tables-save", nodeV6(b)] as const);
    const dropped = () =>
      Number(
        /\[(\d+):\d+\] -A cali-INPUT [^\n]*(?:-p ipv6|-p 41)[^\n]*-j DROP/.exec(
          b.netns.run(save, ["-c", "-t", "filter"]),
        )?.[1] ?? Number.NaN,
      );
    assert.equal(dropped(), 0);
    const local = family === "sit" ? "192.168.2.1" : "2001:db8:2::1";
    const kind = family === "sit" ? "sit" : "ip6tnl mode ip6ip6";
    router.ip(`link add forged type ${kind} local ${local} remote ${chainOf}`);
    router.ip("link set forged up");
    router.ip("address add fd99::9/128 dev forged nodad");
    router.ip(`-6 route add ${podV6(b)}/128 dev forged`);
    assert.equal(reaches(router, podV6(b)), false);
    await waitFor(() => dropped() > 0, { timeoutMs, what: "the dropped packet" });
    router.ip("link del forged");
  });
}

test("a pool that asks for no tunnel any more leaves none behind", async () => {
  const stored = await datastore.get<"IPPool">({ kind: "IPPool", name: "v6" });
  const { annotations: _gone, ...metadata } = stored.metadata;
  await datastore.update<"IPPool">({ ...stored, metadata });
  const devices = () => a.netns.ip("-o link");
  await waitFor(() => !/tortie/.test(devices()), { timeoutMs, what: "the devices to go" });
});
