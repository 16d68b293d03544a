import type { Kernel } from "../kernel/kernel.ts";
import { type IpAddr, type IpFamily, ipFamily } from "../lib/ip-addr.ts";
import type { Carrier, Path } from "./path.ts";
import type { PathPeer } from "./peers.ts";
import type { PeerPlan } from "./probe-peer.ts";

/** The kind of a link's driver, where it is a tunnel's; by family. */
const carriers: Readonly<Record<string, Readonly<Record<IpFamily, Carrier>>>> = {
  vxlan: { 4: "vxlan", 6: "vxlan-v6" },
  ipip: { 4: "ipip", 6: "ipip" },
  ip6tnl: { 4: "none", 6: "ip6ip6" },
  sit: { 4: "none", 6: "sit" },
  // Of all TUN and TAP devices felix leads tunnel addresses into its own alone.
  tun: { 4: "udp", 6: "udp" },
  wireguard: { 4: "wireguard", 6: "wireguard-v6" },
};

type Ways = Pick<Kernel, "links" | "routes">;

/** The paths from this node to a peer, as its kernel would send pods' packets. */
export async function planPeer(own: PathPeer, peer: PathPeer, kernel: Ways): Promise<PeerPlan> {
  const ends: (readonly [carrier: "underlay" | "tunnel", IpAddr, IpAddr])[] = [];
  for (const family of [4, 6] as const) {
    const [mine, theirs] = [own.addresses[family], peer.addresses[family]];
    if (mine !== undefined && theirs !== undefined) {
      ends.push(["underlay", mine.address, theirs.address]);
    }
  }
  for (const { kind, address } of own.tunnels) {
    const other = peer.tunnels.find((tunnel) => tunnel.kind === kind);
    if (other === undefined) continue;
    // Tunnels of two kinds may share an address: the kernel has one route to it.
    const isPlanned = ends.some(([, from, to]) => from === address && to === other.address);
    if (!isPlanned) ends.push(["tunnel", address, other.address]);
  }
  const paths = await Promise.all(
    ends.map(([kind, source, destination]) => pathOf(kind, source, destination, kernel)),
  );
  return { peer, paths };
}

async function pathOf(
  kind: "underlay" | "tunnel",
  source: IpAddr,
  destination: IpAddr,
  kernel: Ways,
): Promise<Path> {
  const family = ipFamily(destination);
  const route = await kernel.routes.lookup(destination);
  const usable = route?.kind === "unicast" ? route.ifindex : undefined;
  const link = usable === undefined ? undefined : await kernel.links.get(usable);
  const plain = kind === "underlay" ? ("underlay" as const) : ("none" as const);
  const carrier = (kind === "tunnel" ? carriers[link?.type ?? ""]?.[family] : undefined) ?? plain;
  const way = link === undefined ? { mtu: 0 } : { device: link.name, mtu: link.mtu };
  return { carrier, family, source, destination, ...way };
}
