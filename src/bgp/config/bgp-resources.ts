import type { BGPConfiguration, BGPConfigurationSpec, BGPPeer } from "../../api/resources/bgp.ts";
import type { BGPFilter } from "../../api/resources/bgp-filter.ts";
import type { FelixConfiguration } from "../../api/resources/felix-configuration.ts";
import type { IPPool } from "../../api/resources/ip-pool.ts";
import type { BlockAffinity } from "../../api/resources/ipam.ts";
import type { EndpointSlice, Service } from "../../api/resources/kubernetes.ts";
import type { Node } from "../../api/resources/node.ts";
import type { WorkloadEndpoint } from "../../api/resources/workload-endpoint.ts";

/** All that the speaker reads of the datastore, by name. */
export interface BgpResources {
  readonly nodes: ReadonlyMap<string, Node>;
  readonly pools: ReadonlyMap<string, IPPool>;
  readonly configurations: ReadonlyMap<string, BGPConfiguration>;
  readonly peers: ReadonlyMap<string, BGPPeer>;
  readonly filters: ReadonlyMap<string, BGPFilter>;
  readonly affinities: ReadonlyMap<string, BlockAffinity>;
  readonly felixConfigurations: ReadonlyMap<string, FelixConfiguration>;
  /** Those of the own node, once a BGPPeer asks for them or the node is drained. By namespace and name. */
  readonly workloads: ReadonlyMap<string, WorkloadEndpoint>;
  /** Once addresses of services are to be told of. By namespace and name. */
  readonly services: ReadonlyMap<string, Service>;
  readonly endpointSlices: ReadonlyMap<string, EndpointSlice>;
}

/**
 * BGPConfiguration "default", and the fields that "node.<name>" replaces in it (facts 5.2): a list as a
 * whole. Communities may be named by either; the node's come first.
 */
export function configurationOf(resources: BgpResources, nodeName: string): BGPConfigurationSpec {
  const cluster = resources.configurations.get("default")?.spec ?? {};
  const own = resources.configurations.get(`node.${nodeName}`)?.spec ?? {};
  const { listenPort, prefixAdvertisements, logSeverityScreen, communities = [] } = own;
  return {
    ...cluster,
    communities: [...(cluster.communities ?? []), ...communities],
    ...(listenPort === undefined ? {} : { listenPort }),
    ...(prefixAdvertisements === undefined ? {} : { prefixAdvertisements }),
    ...(logSeverityScreen === undefined ? {} : { logSeverityScreen }),
  };
}
