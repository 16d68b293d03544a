import assert from "node:assert/strict";
import { test } from "node:test";
import type { KernelLink, KernelRoute } from "../../../src/kernel/kernel.ts";
import { type IpAddr, parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { parseInterfaceAddress } from "../../../src/lib/prefix.ts";
import type { PathPeer } from "../../../src/paths/peers.ts";
import { planPeer } from "../../../src/paths/plan.ts";

const links = [
  { name: "eth0", mtu: 1500 },
  { name: "vxlan.calico", type: "vxlan", mtu: 1450 },
  { name: "tunl0", type: "ipip", mtu: 1480 },
  { name: "wg0", type: "wireguard", mtu: 1440 },
  { name: "udp.tortie", type: "tun", mtu: 1472 },
];

/** A kernel that leads each of these addresses by a link, and no other. */
function kernel(ways: Readonly<Record<string, string>>) {
  const all = links.map((link, i) => ({ ...link, ifindex: i + 1, up: true, running: true }));
  return {
    links: {
      get: async (ifindex: number) => all.find((link) => link.ifindex === ifindex) as KernelLink,
    },
    routes: {
      lookup: async (destination: IpAddr) => {
        const link = all.find(({ name }) => name === ways[destination]);
        return link && ({ kind: "unicast", ifindex: link.ifindex } as KernelRoute);
      },
    },
  } as unknown as Parameters<typeof planPeer>[2];
}

function peer(name: string, node: string, tunnel: string, kind: "vxlan" | "vxlanV6" = "vxlan") {
  const own = parseInterfaceAddress(node);
  const family = node.includes(":") ? 6 : 4;
  const address = parseIpAddr(tunnel);
  return { name, addresses: { [family]: own }, tunnels: [{ kind, address }] } satisfies PathPeer;
}
const own = peer("me", "192.0.2.1/24", "10.1.0.1");
const other = peer("node3", "192.0.2.3/24", "10.3.0.1");

const rows: readonly (readonly [device: string | undefined, carrier: string, mtu: number])[] = [
  ["vxlan.calico", "vxlan", 1450],
  ["tunl0", "ipip", 1480],
  ["wg0", "wireguard", 1440],
  ["udp.tortie", "udp", 1472],
  ["eth0", "none", 1500],
  [undefined, "none", 0],
];
for (const [device, carrier, mtu] of rows) {
  test(`a tunnel address that the kernel leads by ${device ?? "nothing"} is a path of kind ${carrier}`, async () => {
    const ways = { "192.0.2.3": "eth0", ...(device === undefined ? {} : { "10.3.0.1": device }) };
    const { paths } = await planPeer(own, other, kernel(ways));
    const [underlay, tunnel] = paths;
    assert.deepEqual(underlay, {
      carrier: "underlay",
      family: 4,
      source: "192.0.2.1",
      destination: "192.0.2.3",
      device: "eth0",
      mtu: 1500,
    });
    assert.deepEqual(tunnel, {
      carrier,
      family: 4,
      source: "10.1.0.1",
      destination: "10.3.0.1",
      ...(device === undefined ? {} : { device }),
      mtu,
    });
  });
}

test("tunnels of two kinds that share an address are one path", async () => {
  const both = (of: typeof own) => {
    const [first] = of.tunnels;
    return { ...of, tunnels: [...of.tunnels, { ...first, kind: "wireguard" }] } as PathPeer;
  };
  const ways = kernel({ "192.0.2.3": "eth0", "10.3.0.1": "wg0" });
  const { paths } = await planPeer(both(own), both(other), ways);
  assert.deepEqual(
    paths.map(({ carrier }) => carrier),
    ["underlay", "wireguard"],
  );
});

test("VXLAN of IPv6 is a path of its own; addresses that only one of the nodes has make none", async () => {
  const [six, theirs] = [
    peer("me", "2001:db8::1/64", "fd00::1", "vxlanV6"),
    peer("node3", "2001:db8::3/64", "fd00::3", "vxlanV6"),
  ];
  const ways = kernel({ "2001:db8::3": "eth0", "fd00::3": "vxlan.calico" });
  const carriers = (await planPeer(six, theirs, ways)).paths.map(({ carrier }) => carrier);
  assert.deepEqual(carriers, ["underlay", "vxlan-v6"]);
  assert.deepEqual((await planPeer(own, theirs, ways)).paths, []);
});
