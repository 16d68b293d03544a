import { namespaceProfilePrefix } from "../../api/kubernetes/namespace.ts";
import type { HostEndpoint } from "../../api/resources/host-endpoint.ts";
import type { GlobalNetworkSet, NetworkSet } from "../../api/resources/network-set.ts";
import type { EndpointPort, WorkloadEndpoint } from "../../api/resources/workload-endpoint.ts";
import { namespaceLabel } from "../../api/selector/scope.ts";
import { type IpFamily, ipFamily, parseIpAddr } from "../../lib/ip-addr.ts";
import {
  hostPrefix,
  type Prefix,
  parseInterfaceAddress,
  parsePrefix,
  prefixOf,
} from "../../lib/prefix.ts";

/** What selectors can select, whatever its kind: labels on one side, addresses on the other. */
export interface Selectable {
  /** Its own. They win over those of its profiles. */
  readonly labels: Readonly<Record<string, string>>;
  /** Names of profiles whose labels it inherits. */
  readonly profiles: readonly string[];
  /** As sets of nets hold them: a /0 is two /1 (facts 4.3). */
  readonly nets: readonly Prefix[];
  readonly ports: readonly EndpointPort[];
}

export function workloadSelectable({ metadata, spec }: WorkloadEndpoint): Selectable {
  return {
    labels: metadata.labels ?? {},
    profiles: spec.profiles ?? [],
    nets: (spec.ipNetworks ?? []).flatMap(memberNets),
    ports: spec.ports ?? [],
  };
}

export function hostEndpointSelectable({ metadata, spec }: HostEndpoint): Selectable {
  return {
    labels: metadata.labels ?? {},
    profiles: spec.profiles ?? [],
    nets: (spec.expectedIPs ?? []).map(parseIpAddr).map(hostPrefix),
    ports: spec.ports ?? [],
  };
}

/** A set of a namespace has that namespace's labels, as its pods have (facts 2.5, 4.2). */
export function networkSetSelectable({
  metadata,
  spec,
}: NetworkSet | GlobalNetworkSet): Selectable {
  const { labels = {}, namespace } = metadata;
  const content = { nets: (spec.nets ?? []).flatMap(memberNets), ports: [] };
  if (namespace === undefined) return { labels, profiles: [], ...content };
  return {
    labels: { ...labels, [namespaceLabel]: namespace },
    profiles: [`${namespaceProfilePrefix}${namespace}`],
    ...content,
  };
}

function memberNets(text: string): Prefix[] {
  const { address, length } = parseInterfaceAddress(text);
  if (length > 0) return [prefixOf(address, length)];
  return halves[ipFamily(address)];
}

const halves: Readonly<Record<IpFamily, Prefix[]>> = {
  4: ["0.0.0.0/1", "128.0.0.0/1"].map(parsePrefix),
  6: ["::/1", "8000::/1"].map(parsePrefix),
};
