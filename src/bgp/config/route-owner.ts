import {
  clusterRoutesSetting,
  defaultClusterRoutes,
  programmedClasses,
  type SharedClass,
} from "../../api/cluster-routes.ts";
import { felixLayers } from "../../api/felix-layers.ts";
import type { BGPConfigurationSpec, ProgramClusterRoutes } from "../../api/resources/bgp.ts";
import type { BgpNode } from "./bgp-nodes.ts";
import type { BgpResources } from "./bgp-resources.ts";
import type { BgpPool } from "./pool-classes.ts";

interface OwnerInputs {
  readonly resources: BgpResources;
  readonly configuration: BGPConfigurationSpec;
  readonly pools: readonly BgpPool[];
  readonly env: { readonly FELIX_PROGRAMCLUSTERROUTES?: string };
}

const words: Readonly<Record<SharedClass, string>> = {
  ipip: "IPIP",
  noEncap: "unencapsulated",
};

/**
 * Classes of pools whose routes the speaker programs (facts 0.1): what both fields give to two is
 * felix's. A class that is nobody's, or both's, is a problem while there is a pool of it.
 */
export function routeOwner(
  me: BgpNode,
  { resources, configuration, pools, env }: OwnerInputs,
  problems: string[],
): readonly SharedClass[] {
  const bgp = clusterRoutesSetting(configuration.programClusterRoutes, defaultClusterRoutes.bgp);
  const felix = felixSetting(me, resources, env);
  const [ours, theirs] = [programmedClasses(bgp), programmedClasses(felix)];
  const fields = `programClusterRoutes of BGPConfiguration is ${bgp}, of FelixConfiguration ${felix}`;
  for (const shared of ["ipip", "noEncap"] as const) {
    if (!pools.some((pool) => pool.class === shared)) continue;
    const [isOurs, isTheirs] = [ours.includes(shared), theirs.includes(shared)];
    if (isOurs !== isTheirs) continue;
    const who = isOurs ? "felix alone programs, not bgp," : "nobody programs";
    problems.push(`${fields}: ${who} the routes of ${words[shared]} pools`);
  }
  return ours.filter((shared) => !theirs.includes(shared));
}

/** What felix programs on this node. The environment comes first, then the node's, then the cluster's. */
function felixSetting(
  { name, labels }: BgpNode,
  { felixConfigurations }: BgpResources,
  { FELIX_PROGRAMCLUSTERROUTES: variable }: OwnerInputs["env"],
): ProgramClusterRoutes {
  const { global, node } = felixLayers(felixConfigurations.values(), { name, labels });
  const stored = node?.["programClusterRoutes"] ?? global?.["programClusterRoutes"];
  return clusterRoutesSetting(variable || stored, defaultClusterRoutes.felix);
}
