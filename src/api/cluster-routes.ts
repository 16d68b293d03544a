import type { PoolClass } from "./pool-encapsulation.ts";
import type { ProgramClusterRoutes } from "./resources/bgp.ts";

/** Classes of pools whose routes either felix or bgp programs, as both programClusterRoutes say. */
export type SharedClass = "ipip" | "noEncap";

/** Classes of pools whose routes are felix' whatever is said: VXLAN (facts 0.1), and our own. */
export const felixClasses: readonly PoolClass[] = ["vxlan", "udp", "ip6ip6", "sit"];

const classes: Readonly<Record<ProgramClusterRoutes, readonly SharedClass[]>> = {
  Disabled: [],
  Enabled: ["ipip", "noEncap"],
  EnabledIPIPOnly: ["ipip"],
  EnabledNoEncapOnly: ["noEncap"],
};

/** What acts where nothing is said (facts 0.1). */
export const defaultClusterRoutes: Readonly<Record<"felix" | "bgp", ProgramClusterRoutes>> = {
  felix: "EnabledIPIPOnly",
  bgp: "EnabledNoEncapOnly",
};

/** Classes that a component with this setting programs (facts 0.1): VXLAN is always felix's. */
export function programmedClasses(setting: ProgramClusterRoutes): readonly SharedClass[] {
  return classes[setting];
}

/** A setting in any case of letters; what is none counts as not said, as upstream. */
export function clusterRoutesSetting(
  given: unknown,
  fallback: ProgramClusterRoutes,
): ProgramClusterRoutes {
  const text = typeof given === "string" ? given.toLowerCase() : "";
  const settings = Object.keys(classes) as ProgramClusterRoutes[];
  return settings.find((setting) => setting.toLowerCase() === text) ?? fallback;
}
