import type { ProgramClusterRoutes } from "../../api/resources/bgp.ts";
import type { IPPool } from "../../api/resources/ip-pool.ts";
import { type Prefix, parsePrefix } from "../../lib/prefix.ts";

/** How packets to a pool travel (facts 4.15). "none": load balancer addresses only. */
export type PoolClass = "noEncap" | "ipip" | "vxlan" | "none";

export interface BgpPool {
  readonly prefix: Prefix;
  readonly class: PoolClass;
  readonly disabled: boolean;
  readonly exportDisabled: boolean;
}

/** @throws {SyntaxError} when the pool's CIDR cannot be read. */
export function bgpPool({ spec }: IPPool): BgpPool {
  return {
    prefix: parsePrefix(spec.cidr),
    class: classOf(spec),
    disabled: spec.disabled === true,
    exportDisabled: spec.disableBGPExport === true,
  };
}

function classOf({ allowedUses = [], vxlanMode, ipipMode }: IPPool["spec"]): PoolClass {
  if (allowedUses.length > 0 && allowedUses.every((use) => use === "LoadBalancer")) return "none";
  if (vxlanMode === "Always" || vxlanMode === "CrossSubnet") return "vxlan";
  return ipipMode === "Always" || ipipMode === "CrossSubnet" ? "ipip" : "noEncap";
}

/** True when a component with this setting programs the routes of unencapsulated pools (facts 0.1). */
export function programsNoEncap(setting: ProgramClusterRoutes): boolean {
  return setting === "Enabled" || setting === "EnabledNoEncapOnly";
}
