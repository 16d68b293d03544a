import type { IPPool } from "./resources/ip-pool.ts";

/** Our own: Calico has none of these. Their routes are felix' alone. */
const ownClasses = ["udp", "ip6ip6", "sit"] as const;
type OwnClass = (typeof ownClasses)[number];

/** How packets to a pool travel (facts 4.15). "none": load balancer addresses only. */
export type PoolClass = "none" | "noEncap" | "ipip" | "vxlan" | OwnClass;

export interface PoolEncapsulation {
  readonly class: PoolClass;
  /** Only to other subnets: packets to nodes of our own go as they are. */
  readonly crossSubnet: boolean;
}

/**
 * Asks for a tunnel that Calico does not have on a pool whose modes are both Never: Calico takes the pool
 * for an unencapsulated one. Userspace UDP, or of IPv6 in IPv6 (ip6tnl) or in IPv4 (sit); each also with
 * "CrossSubnet".
 */
export const encapsulationAnnotation = "tortie.dev/encapsulation";

const ownModes: ReadonlyMap<string, PoolEncapsulation & { readonly class: OwnClass }> = new Map(
  ownClasses.flatMap((own) =>
    ["", "CrossSubnet"].map((suffix) => [
      `${own.toUpperCase()}${suffix}`,
      { class: own, crossSubnet: suffix !== "" },
    ]),
  ),
);

/** The encapsulation of a pool. What cannot be read, or is not served, is class "none": no routes. */
export function poolEncapsulation(pool: Pick<IPPool, "metadata" | "spec">): PoolEncapsulation {
  const { allowedUses = [], vxlanMode, ipipMode } = pool.spec;
  const crossSubnet = vxlanMode === "CrossSubnet" || ipipMode === "CrossSubnet";
  if (allowedUses.length > 0 && allowedUses.every((use) => use === "LoadBalancer")) {
    return { class: "none", crossSubnet };
  }
  const own = pool.metadata.annotations?.[encapsulationAnnotation];
  if (own !== undefined) {
    const mode = ownEncapsulationProblem(pool) === undefined ? ownModes.get(own) : undefined;
    return mode ?? { class: "none", crossSubnet };
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
  const mode = ownModes.get(own);
  if (mode === undefined) return `"${own}": it must be one of ${[...ownModes.keys()].join(", ")}`;
  if (isGiven(spec.vxlanMode) || isGiven(spec.ipipMode)) {
    return `"${own}": ipipMode and vxlanMode must both be Never`;
  }
  const isCarried = mode.class === "udp" || spec.cidr.includes(":");
  return isCarried ? undefined : `"${own}": it carries IPv6 alone`;
}

function isGiven(mode: string | undefined): boolean {
  return mode !== undefined && mode !== "" && mode !== "Never";
}
