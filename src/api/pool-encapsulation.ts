import type { IPPool } from "./resources/ip-pool.ts";

/** How packets to a pool travel (facts 4.15). "none": load balancer addresses only; "udp" is our own. */
export type PoolClass = "none" | "noEncap" | "ipip" | "vxlan" | "udp";

export interface PoolEncapsulation {
  readonly class: PoolClass;
  /** Only to other subnets: packets to nodes of our own go as they are. */
  readonly crossSubnet: boolean;
}

/**
 * Asks for the userspace UDP tunnel on a pool whose modes are both Never: Calico has no such mode, and
 * takes the pool for an unencapsulated one. "UDP" or "UDPCrossSubnet".
 */
export const encapsulationAnnotation = "tortie.dev/encapsulation";

/** The encapsulation of a pool. What cannot be read, or is not served, is class "none": no routes. */
export function poolEncapsulation(pool: Pick<IPPool, "metadata" | "spec">): PoolEncapsulation {
  const { allowedUses = [], vxlanMode, ipipMode } = pool.spec;
  const crossSubnet = vxlanMode === "CrossSubnet" || ipipMode === "CrossSubnet";
  if (allowedUses.length > 0 && allowedUses.every((use) => use === "LoadBalancer")) {
    return { class: "none", crossSubnet };
  }
  const own = pool.metadata.annotations?.[encapsulationAnnotation];
  if (own !== undefined) {
    const isRefused = ownEncapsulationProblem(pool) !== undefined;
    return { class: isRefused ? "none" : "udp", crossSubnet: own === "UDPCrossSubnet" };
  }
  if (isGiven(vxlanMode)) return { class: "vxlan", crossSubnet };
  return { class: isGiven(ipipMode) ? "ipip" : "noEncap", crossSubnet };
}

/** What is wrong with the pool's annotation; undefined: nothing, or there is none. */
export function ownEncapsulationProblem({
  metadata,
  spec,
}: Pick<IPPool, "metadata" | "spec">): string | undefined {
  const own = metadata.annotations?.[encapsulationAnnotation];
  if (own === undefined) return undefined;
  if (own !== "UDP" && own !== "UDPCrossSubnet")
    return `"${own}": it must be UDP or UDPCrossSubnet`;
  if (isGiven(spec.vxlanMode) || isGiven(spec.ipipMode)) {
    return `"${own}": ipipMode and vxlanMode must both be Never`;
  }
  return spec.cidr.includes(":") ? `"${own}": it carries IPv4 alone` : undefined;
}

function isGiven(mode: string | undefined): boolean {
  return mode !== undefined && mode !== "" && mode !== "Never";
}
