import { tunnelOverhead } from "../api/tunnel-overhead.ts";
import type { Carrier, Path, TunnelState } from "./path.ts";

/** What to change, in words, by what carries a path. */

/** Octets that a carrier adds to a packet. */
export const overhead: Readonly<Record<Carrier, number>> = {
  underlay: 0,
  none: 0,
  ipip: tunnelOverhead.ipip,
  ip6ip6: tunnelOverhead.ip6ip6,
  sit: tunnelOverhead.sit,
  udp: tunnelOverhead.udp[4],
  vxlan: tunnelOverhead.vxlan[4],
  "vxlan-v6": tunnelOverhead.vxlan[6],
  wireguard: tunnelOverhead.wireguard[4],
  "wireguard-v6": tunnelOverhead.wireguard[6],
};

export function isTunnel(carrier: Carrier): boolean {
  return carrier !== "underlay" && carrier !== "none";
}

/** What carries the probes, as a firewall sees it. */
export function outerPackets(
  { carrier, device, family }: Path,
  tunnels: readonly TunnelState[],
  probePort: number,
): string {
  const port = tunnels.find(({ name }) => name === device)?.port;
  switch (carrier) {
    case "vxlan":
      return `UDP ${port ?? 4789}`;
    case "vxlan-v6":
      return `UDP ${port ?? 4789} over IPv6`;
    case "ipip":
      return "IP protocol 4";
    case "ip6ip6":
      return "IP protocol 41 over IPv6";
    case "sit":
      return "IP protocol 41 over IPv4";
    case "udp":
      return `UDP ${port ?? 8285}`;
    case "wireguard":
      return `UDP ${port ?? 51820}`;
    case "wireguard-v6":
      return `UDP ${port ?? 51821} over IPv6`;
    case "underlay":
      return `UDP ${probePort} (pathCheckPort) over IPv${family}`;
    case "none":
      return "packets with pods' addresses";
  }
}

/** `direction`: "from node1 to node2". */
export function filterAdvice(
  path: Path,
  { what, direction }: { readonly what: string; readonly direction: string },
): string {
  if (path.carrier === "none") {
    return `let the network pass packets with pods' addresses ${direction} (in a cloud: switch the source/destination check off), or use vxlanMode: Always`;
  }
  const firewalls = "security groups, firewalls of the nodes and of what is between";
  const other = isVxlan(path.carrier)
    ? "; a network that uses the port itself (NSX) needs another vxlanPort"
    : "";
  return `let ${what} pass ${direction}: ${firewalls}${other}`;
}

/** What both ends of a tunnel must have alike. */
export function deviceAdvice(carrier: Carrier): string {
  switch (carrier) {
    case "udp":
      return "give udpPort the same value for all nodes";
    case "wireguard":
      return "give wireguardListeningPort the same value for all nodes";
    case "wireguard-v6":
      return "give wireguardListeningPortV6 the same value for all nodes";
    default:
      return "give vxlanVNI and vxlanPort the same value for all nodes";
  }
}

/** `from`: the node whose packets have wrong checksums. */
export function checksumAdvice({ carrier, device = "" }: Path, from: string): string {
  const card = `ethtool -K tx off on the network card of ${from}`;
  if (isVxlan(carrier)) {
    return `set featureDetectOverride: ChecksumOffloadBroken=true, which turns checksum offload of ${device} off; if that does not help, ${card}`;
  }
  if (isTunnel(carrier)) return `turn checksum offload off: ${card}`;
  return `turn checksum offload off on ${from}: ethtool -K ${device} tx off, and see the driver and what is between`;
}

export function speedAdvice({ carrier, device = "" }: Path): string {
  return isVxlan(carrier)
    ? `try featureDetectOverride: ChecksumOffloadBroken=true (kernels from 6.12 on are slow with some network cards until tx-checksum-ip-generic of ${device} is off)`
    : "see whether a processor of either node is busy with it, and offloads of the network cards: ethtool -k";
}

function isVxlan(carrier: Carrier): boolean {
  return carrier === "vxlan" || carrier === "vxlan-v6";
}

export function mtuAdvice({ carrier, device }: Path, largest: number): string {
  switch (carrier) {
    case "underlay":
    case "none":
      return `set the MTU of ${device} to ${largest} on all nodes (tunnels follow, and pods that start after that), or let the network between pass what its interfaces promise`;
    case "ipip":
      return `set ipipMTU: ${largest}, or raise the MTU of the network between to ${largest + overhead.ipip} and more`;
    case "ip6ip6":
    case "sit":
      return `set ip6TunnelMTU: ${largest}, or let packets that are ${overhead[carrier]} bytes longer pass between the nodes`;
    case "vxlan":
      return `set vxlanMTU: ${largest}, or let packets that are ${overhead.vxlan} bytes longer pass between the nodes`;
    case "vxlan-v6":
      return `set vxlanMTUV6: ${largest}, or let packets that are ${overhead["vxlan-v6"]} bytes longer pass between the nodes`;
    case "udp":
      return `set udpMTU: ${largest}, or let packets that are ${overhead.udp} bytes longer pass between the nodes`;
    case "wireguard":
      return `set wireguardMTU: ${largest}`;
    case "wireguard-v6":
      return `set wireguardMTUV6: ${largest}`;
  }
}
