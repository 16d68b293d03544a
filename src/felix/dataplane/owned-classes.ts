import type { PoolClass } from "../calc/updates.ts";
import type { FelixConfig } from "../config/felix-config.ts";

/** Classes of pools whose routes felix programs (facts 0.1): VXLAN always. */
export function ownedClasses({
  programClusterRoutes,
}: Pick<FelixConfig, "programClusterRoutes">): ReadonlySet<PoolClass> {
  const classes = new Set<PoolClass>(["vxlan"]);
  if (programClusterRoutes === "Enabled") classes.add("ipip").add("noEncap");
  if (programClusterRoutes === "EnabledIPIPOnly") classes.add("ipip");
  if (programClusterRoutes === "EnabledNoEncapOnly") classes.add("noEncap");
  return classes;
}
