import { namespaceProfilePrefix } from "../../api/kubernetes/namespace.ts";
import type { GlobalNetworkSet, NetworkSet } from "../../api/resources/network-set.ts";
import type { EndpointPort, WorkloadEndpoint } from "../../api/resources/workload-endpoint.ts";
import { namespaceLabel } from "../../api/selector/scope.ts";

/** What selectors can select, whatever its kind: labels on one side, addresses on the other. */
export interface Selectable {
  /** Its own. They win over those of its profiles. */
  readonly labels: Readonly<Record<string, string>>;
  /** Names of profiles whose labels it inherits. */
  readonly profiles: readonly string[];
  /** "10.0.0.1/32", also with host bits set. */
  readonly nets: readonly string[];
  readonly ports: readonly EndpointPort[];
}

export function workloadSelectable({ metadata, spec }: WorkloadEndpoint): Selectable {
  return {
    labels: metadata.labels ?? {},
    profiles: spec.profiles ?? [],
    nets: spec.ipNetworks ?? [],
    ports: spec.ports ?? [],
  };
}

/** A set of a namespace has that namespace's labels, as its pods have (facts 2.5, 4.2). */
export function networkSetSelectable({
  metadata,
  spec,
}: NetworkSet | GlobalNetworkSet): Selectable {
  const { labels = {}, namespace } = metadata;
  const content = { nets: spec.nets ?? [], ports: [] };
  if (namespace === undefined) return { labels, profiles: [], ...content };
  return {
    labels: { ...labels, [namespaceLabel]: namespace },
    profiles: [`${namespaceProfilePrefix}${namespace}`],
    ...content,
  };
}
