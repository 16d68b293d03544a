/**
 * How a process without memory knows what in the kernel is ours (facts 4.8, 5.19; ADR 6). Two owners
 * of one number would delete each other's routes.
 */
export const routeProtocol = {
  /** Pod routes and VXLAN routes: felix, recognised together with their device. */
  boot: 3,
  /** Everything that `tortie bgp` programs, and nothing else. */
  bird: 12,
  /** Same-subnet routes and blackholes of the pools that felix owns. */
  felix: 80,
} as const;

export const mainTable = 254;
export const workloadInterfacePrefix = "cali";
export const vxlanDevice = "vxlan.calico";
export const vxlanDeviceV6 = "vxlan-v6.calico";
export const ipipDevice = "tunl0";
/** Our own: Calico has no userspace tunnel, and carries IPv6 by VXLAN alone. */
export const udpDevice = "udp.tortie";
export const ip6ip6Device = "ip6ip6.tortie";
export const sitDevice = "sit.tortie";
export const chainPrefix = "cali-";
export const ipSetPrefixes = { 4: "cali40", 6: "cali60" } as const;
export const ruleHashPrefix = "cali:";
