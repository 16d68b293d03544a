import type { BGPConfiguration, BGPConfigurationSpec, BGPPeer } from "../../api/resources/bgp.ts";
import type { FelixConfiguration } from "../../api/resources/felix-configuration.ts";
import type { IPPool } from "../../api/resources/ip-pool.ts";
import type { BlockAffinity } from "../../api/resources/ipam.ts";
import type { Node } from "../../api/resources/node.ts";

/** All that the speaker reads of the datastore, by name. */
export interface BgpResources {
  readonly nodes: ReadonlyMap<string, Node>;
  readonly pools: ReadonlyMap<string, IPPool>;
  readonly configurations: ReadonlyMap<string, BGPConfiguration>;
  readonly peers: ReadonlyMap<string, BGPPeer>;
  readonly affinities: ReadonlyMap<string, BlockAffinity>;
  readonly felixConfigurations: ReadonlyMap<string, FelixConfiguration>;
}

/** BGPConfiguration "default", and what "node.<name>" replaces in it (facts 5.2). */
export function configurationOf(resources: BgpResources, nodeName: string): BGPConfigurationSpec {
  const cluster = resources.configurations.get("default")?.spec ?? {};
  const own = resources.configurations.get(`node.${nodeName}`)?.spec ?? {};
  const { listenPort, prefixAdvertisements } = own;
  return {
    ...cluster,
    ...(listenPort === undefined ? {} : { listenPort }),
    ...(prefixAdvertisements === undefined ? {} : { prefixAdvertisements }),
  };
}
