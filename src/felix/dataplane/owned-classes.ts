import { felixClasses, programmedClasses } from "../../api/cluster-routes.ts";
import type { PoolClass } from "../calc/updates.ts";
import type { FelixConfig } from "../config/felix-config.ts";

/** Classes of pools whose routes felix programs (facts 0.1). */
export function ownedClasses({
  programClusterRoutes,
}: Pick<FelixConfig, "programClusterRoutes">): ReadonlySet<PoolClass> {
  return new Set<PoolClass>([...felixClasses, ...programmedClasses(programClusterRoutes)]);
}
