import type { Carrier, Path, TunnelState } from "./path.ts";

/** What to change, in words, by what carries a path. */

/** Octets that a tunnel adds to a packet (facts 4.9). */
export const overhead: Readonly<Record<Carrier, number>> = {
  underlay: 0,
  none: 0,
  ipip: 20,
  vxlan: 50,
  "vxlan-v6": 70,
  wireguard: 60,
  "wireguard-v6": 80,
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

export function filterAdvice(
  path: Path,
  { what, from, to }: { readonly what: string; readonly from: string; readonly to: string },
): string {
  if (path.carrier === "none") {
    return `let the network pass packets with pods' addresses from ${from} to ${to} (in a cloud: switch the source/destination check off), or use vxlanMode: Always`;
  }
  const firewalls = "security groups, firewalls of the nodes and of what is between";
  const other =
    path.carrier === "vxlan" || path.carrier === "vxlan-v6"
      ? "; a network that uses the port itself (NSX) needs another vxlanPort"
      : "";
  return `let ${what} pass from ${from} to ${to}: ${firewalls}${other}`;
}

export function mtuAdvice({ carrier, device }: Path, largest: number): string {
  switch (carrier) {
    case "underlay":
    case "none":
      return `set the MTU of ${device} to ${largest} on all nodes (tunnels follow, and pods that start after that), or let the network between pass what its interfaces promise`;
    case "ipip":
      return `set ipipMTU: ${largest}, or raise the MTU of the network between to ${largest + overhead.ipip} and more`;
    case "vxlan":
      return `set vxlanMTU: ${largest}, or let packets that are ${overhead.vxlan} bytes longer pass between the nodes`;
    case "vxlan-v6":
      return `set vxlanMTUV6: ${largest}, or let packets that are ${overhead["vxlan-v6"]} bytes longer pass between the nodes`;
    case "wireguard":
      return `set wireguardMTU: ${largest}`;
    case "wireguard-v6":
      return `set wireguardMTUV6: ${largest}`;
  }
}
