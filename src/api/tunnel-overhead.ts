/**
 * Octets by which a tunnel makes packets longer: the headers that it puts before them, by the family of the
 * outer ones where there are two (facts 4.9). A tunnel's MTU, and that of pods, is the network's less these.
 */
export const tunnelOverhead = {
  ipip: 20,
  udp: { 4: 28, 6: 48 },
  ip6ip6: 40,
  sit: 20,
  vxlan: { 4: 50, 6: 70 },
  wireguard: { 4: 60, 6: 80 },
} as const;
