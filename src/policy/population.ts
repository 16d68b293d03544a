import type { HostEndpoint } from "../api/resources/host-endpoint.ts";
import type { GlobalNetworkSet, NetworkSet } from "../api/resources/network-set.ts";
import type { EndpointPort, WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import { getOrCreate } from "../lib/collections.ts";
import type { IpAddr } from "../lib/ip-addr.ts";
import {
  hostPrefix,
  isHostPrefix,
  type Prefix,
  parseInterfaceAddress,
  prefixHasAddress,
  prefixOf,
} from "../lib/prefix.ts";
import type { PolicyCluster } from "./cluster.ts";

export type Labels = ReadonlyMap<string, string>;

/** What selectors find: an endpoint or a network set, with the addresses that it stands for. */
export interface Labelled {
  readonly resource: WorkloadEndpoint | HostEndpoint | NetworkSet | GlobalNetworkSet;
  /** Its own, over those that its profiles hand down (facts 4.2). */
  readonly labels: Labels;
  readonly nets: readonly Prefix[];
  readonly ports: readonly EndpointPort[];
}

/** Everything with labels, and who has an address. */
export class Population {
  readonly #all: readonly Labelled[];
  readonly #byHost = new Map<Prefix, Labelled[]>();
  readonly #wide: Labelled[] = [];

  constructor(cluster: PolicyCluster) {
    const labelsOf = inheritance(cluster);
    this.#all = [
      ...cluster.endpoints.map((resource) => ({
        resource,
        labels: labelsOf(resource.metadata.labels, resource.spec.profiles ?? []),
        nets: (resource.spec.ipNetworks ?? []).map(networkOf),
        ports: resource.spec.ports ?? [],
      })),
      ...cluster.hostEndpoints.map((resource) => ({
        resource,
        labels: labelsOf(resource.metadata.labels, resource.spec.profiles ?? []),
        nets: (resource.spec.expectedIPs ?? []).map(networkOf),
        ports: resource.spec.ports ?? [],
      })),
      ...cluster.networkSets.map((resource) => networkSet(resource, labelsOf)),
    ];
    for (const one of this.#all) {
      for (const net of one.nets.filter(isHostPrefix)) {
        getOrCreate(this.#byHost, net, () => []).push(one);
      }
      if (!one.nets.every(isHostPrefix)) this.#wide.push(one);
    }
  }

  get all(): readonly Labelled[] {
    return this.#all;
  }

  /** All that have the address, or hold it in a net of theirs. */
  at(address: IpAddr): readonly Labelled[] {
    const wide = this.#wide.filter(({ nets }) =>
      nets.some((net) => !isHostPrefix(net) && prefixHasAddress(net, address)),
    );
    return [...new Set([...(this.#byHost.get(hostPrefix(address)) ?? []), ...wide])];
  }

  /** The pod that has the address. */
  workloadAt(address: IpAddr): Labelled | undefined {
    return this.at(address).find(({ resource }) => resource.kind === "WorkloadEndpoint");
  }

  of(resource: Labelled["resource"]): Labelled | undefined {
    return this.#all.find((one) => one.resource === resource);
  }
}

type LabelsOf = (
  own: Readonly<Record<string, string>> | undefined,
  profiles: readonly string[],
) => Labels;

/** Own labels win over inherited ones, an earlier profile's over a later one's. */
function inheritance({ profiles }: PolicyCluster): LabelsOf {
  const handedDown = new Map(
    profiles.map(({ metadata, spec }) => [metadata.name, Object.entries(spec.labelsToApply ?? {})]),
  );
  return (own = {}, names) =>
    new Map([
      ...names.toReversed().flatMap((name) => handedDown.get(name) ?? []),
      ...Object.entries(own),
    ]);
}

/** A namespaced set is of its namespace, and inherits that one's labels (facts 2.5). */
function networkSet(resource: NetworkSet | GlobalNetworkSet, labelsOf: LabelsOf): Labelled {
  const { namespace, labels } = resource.metadata;
  const own = namespace === undefined ? labels : { ...labels, [namespaceLabel]: namespace };
  return {
    resource,
    labels: labelsOf(own, namespace === undefined ? [] : [`kns.${namespace}`]),
    nets: (resource.spec.nets ?? []).map(networkOf),
    ports: [],
  };
}

export const namespaceLabel = "projectcalico.org/namespace";
export const accountLabel = "projectcalico.org/serviceaccount";

/** Host bits say nothing. */
export function networkOf(text: string): Prefix {
  const { address, length } = parseInterfaceAddress(text);
  return prefixOf(address, length);
}
