import type { IPPool } from "../../api/resources/ip-pool.ts";
import { type Prefix, parsePrefix } from "../../lib/prefix.ts";

/** How packets to a pool travel (facts 4.15). "none": load balancer addresses only. */
export type PoolClass = "noEncap" | "ipip" | "vxlan" | "none";

export interface BgpPool {
  readonly prefix: Prefix;
  readonly class: PoolClass;
  /** Only to other subnets: packets to nodes of our own go as they are. */
  readonly crossSubnet: boolean;
  readonly disabled: boolean;
  readonly exportDisabled: boolean;
}

/** @throws {SyntaxError} when the pool's CIDR cannot be read. */
export function bgpPool({ spec }: IPPool): BgpPool {
  return {
    prefix: parsePrefix(spec.cidr),
    class: classOf(spec),
    crossSubnet: spec.vxlanMode === "CrossSubnet" || spec.ipipMode === "CrossSubnet",
    disabled: spec.disabled === true,
    exportDisabled: spec.disableBGPExport === true,
  };
}

function classOf({ allowedUses = [], vxlanMode, ipipMode }: IPPool["spec"]): PoolClass {
  if (allowedUses.length > 0 && allowedUses.every((use) => use === "LoadBalancer")) return "none";
  if (vxlanMode === "Always" || vxlanMode === "CrossSubnet") return "vxlan";
  return ipipMode === "Always" || ipipMode === "CrossSubnet" ? "ipip" : "noEncap";
}
