import { calicoApiVersion } from "../../../../src/api/meta.ts";
import type { BGPConfigurationSpec, BGPPeerSpec } from "../../../../src/api/resources/bgp.ts";
import type { BGPFilterSpec } from "../../../../src/api/resources/bgp-filter.ts";
import type { IPPoolSpec } from "../../../../src/api/resources/ip-pool.ts";
import type { AffinityState } from "../../../../src/api/resources/ipam.ts";
import type { EndpointSlice, Service } from "../../../../src/api/resources/kubernetes.ts";
import type { NodeSpec } from "../../../../src/api/resources/node.ts";
import type { WorkloadEndpoint } from "../../../../src/api/resources/workload-endpoint.ts";
import type { BgpResources } from "../../../../src/bgp/config/bgp-resources.ts";

/** What a test says of a cluster; everything else is as after an installation. */
export interface ClusterSketch {
  readonly nodes: Readonly<Record<string, NodeSpec["bgp"]>>;
  readonly labels?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly pools?: readonly IPPoolSpec[];
  /** CIDR to node, or to node and state. */
  readonly blocks?: Readonly<Record<string, string | readonly [string, AffinityState]>>;
  readonly configurations?: Readonly<Record<string, BGPConfigurationSpec>>;
  readonly peers?: Readonly<Record<string, BGPPeerSpec>>;
  /** Of BGPPeers and Nodes. */
  readonly annotations?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly filters?: Readonly<Record<string, BGPFilterSpec>>;
  readonly workloads?: readonly WorkloadEndpoint[];
  readonly services?: readonly Service[];
  readonly endpointSlices?: readonly EndpointSlice[];
  readonly felix?: Readonly<Record<string, unknown>>;
}

export function cluster(sketch: ClusterSketch): BgpResources {
  const { nodes, labels = {}, pools = [{ cidr: "10.244.0.0/16" }], blocks = {} } = sketch;
  return {
    nodes: mapOf(nodes, (name, bgp) =>
      annotated(
        resource("Node", name, bgp === undefined ? {} : { bgp }, labels[name]),
        sketch.annotations?.[name] ?? {},
      ),
    ),
    pools: mapOf(Object.fromEntries(pools.entries()), (name, spec) =>
      resource("IPPool", `pool${name}`, spec),
    ),
    configurations: mapOf(sketch.configurations ?? {}, (name, spec) =>
      resource("BGPConfiguration", name, spec),
    ),
    peers: mapOf(sketch.peers ?? {}, (name, spec) =>
      annotated(resource("BGPPeer", name, spec), sketch.annotations?.[name] ?? {}),
    ),
    filters: mapOf(sketch.filters ?? {}, (name, spec) => resource("BGPFilter", name, spec)),
    workloads: byName(sketch.workloads),
    services: byName(sketch.services),
    endpointSlices: byName(sketch.endpointSlices),
    affinities: mapOf(blocks, (cidr, owner) => {
      const [node, state] = typeof owner === "string" ? ([owner, "confirmed"] as const) : owner;
      return resource("BlockAffinity", cidr, { cidr, node, state });
    }),
    felixConfigurations: mapOf(
      sketch.felix === undefined ? {} : { default: sketch.felix },
      (name, spec) => resource("FelixConfiguration", name, spec),
    ),
  };
}

function byName<R extends { readonly metadata: { readonly name: string } }>(
  resources: readonly R[] = [],
): Map<string, R> {
  return new Map(resources.map((each) => [each.metadata.name, each]));
}

function mapOf<Given, Value>(
  given: Readonly<Record<string, Given>>,
  make: (name: string, value: Given) => Value,
): Map<string, Value> {
  return new Map(Object.entries(given).map(([name, value]) => [name, make(name, value)]));
}

function resource<Kind extends string, Spec>(
  kind: Kind,
  name: string,
  spec: Spec,
  labels: Readonly<Record<string, string>> = {},
) {
  return { apiVersion: calicoApiVersion, kind, metadata: { name, labels }, spec };
}

function annotated<R extends { readonly metadata: object }>(
  given: R,
  annotations: Readonly<Record<string, string>>,
): R {
  return { ...given, metadata: { ...given.metadata, annotations } };
}
