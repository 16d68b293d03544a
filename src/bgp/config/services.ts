import type { BGPConfigurationSpec } from "../../api/resources/bgp.ts";
import {
  type EndpointSlice,
  type Service,
  serviceNameLabel,
} from "../../api/resources/kubernetes.ts";
import { errorMessage } from "../../lib/errors.ts";
import { type IpAddr, parseIpAddr } from "../../lib/ip-addr.ts";
import {
  comparePrefixes,
  hostPrefix,
  isHostPrefix,
  type Prefix,
  parsePrefix,
  prefixContains,
  prefixHasAddress,
} from "../../lib/prefix.ts";

/** Label of a node that no service is told from. */
const exclusionLabel = "node.kubernetes.io/exclude-from-external-load-balancers";

/** Ranges of services, as the configuration has them. */
export interface ServiceRanges {
  readonly cluster: readonly Prefix[];
  readonly external: readonly Prefix[];
  readonly loadBalancer: readonly Prefix[];
}

/**
 * The ranges of BGPConfiguration; CALICO_ADVERTISE_CLUSTER_IPS replaces those of cluster IPs.
 *
 * @throws {SyntaxError}
 */
export function serviceRangesOf(
  configuration: BGPConfigurationSpec,
  advertiseClusterIps: string | undefined,
): ServiceRanges {
  const { serviceClusterIPs, serviceExternalIPs, serviceLoadBalancerIPs } = configuration;
  const prefixes = (entries: BGPConfigurationSpec["serviceClusterIPs"]) =>
    (entries ?? []).map(({ cidr }) => parsePrefix(cidr));
  const given = advertiseClusterIps?.trim() ?? "";
  return {
    cluster: given === "" ? prefixes(serviceClusterIPs) : [parsePrefix(given)],
    external: prefixes(serviceExternalIPs),
    loadBalancer: prefixes(serviceLoadBalancerIPs),
  };
}

/** Who tells of services. */
export interface ServiceNode {
  /** As endpoints call it. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface ServiceInputs {
  readonly services: Iterable<Service>;
  readonly endpointSlices: Iterable<EndpointSlice>;
  readonly ranges: ServiceRanges;
  /** Ranges of load balancer addresses are told as such (serviceLoadBalancerAggregation). */
  readonly aggregates: boolean;
  readonly node: ServiceNode;
}

/**
 * The routes that a node announces for services (facts 5.8, 5.18): ranges, and single addresses where
 * the range does not say enough. A service with an address that cannot be read loses only this.
 */
export function serviceRoutes(inputs: ServiceInputs, problems: string[]): readonly Prefix[] {
  const { ranges, aggregates, node } = inputs;
  if (node.labels[exclusionLabel] === "true") return [];
  const routes = new Set<Prefix>([
    ...ranges.cluster,
    ...ranges.external.filter((range) => !isHostPrefix(range)),
    ...(aggregates ? ranges.loadBalancer.filter((range) => !isHostPrefix(range)) : []),
  ]);
  const slices = slicesByService(inputs.endpointSlices);
  for (const service of inputs.services) {
    const addresses = readAddresses(service, problems);
    if (!isAnnounced(service, addresses, slices.get(keyOf(service)) ?? [], inputs)) continue;
    for (const address of routedAddresses(addresses, ranges)) routes.add(hostPrefix(address));
  }
  return [...routes].sort(comparePrefixes);
}

/** Prefixes that lie in no other of the list. */
export function widest(prefixes: readonly Prefix[]): readonly Prefix[] {
  const kept: Prefix[] = [];
  // Sorted, what holds a prefix comes before it, and so does everything that it holds besides.
  for (const prefix of [...new Set(prefixes)].sort(comparePrefixes)) {
    const last = kept.at(-1);
    if (last === undefined || !prefixContains(last, prefix)) kept.push(prefix);
  }
  return kept;
}

/** Addresses of one service. */
interface ServiceAddresses {
  readonly cluster: readonly IpAddr[];
  readonly external: readonly IpAddr[];
  readonly loadBalancer: readonly IpAddr[];
  /** What it asks for, which it need not have got. */
  readonly wanted: readonly IpAddr[];
}

/** Facts 5.18, the table: whether this node tells of the service by its own addresses. */
function isAnnounced(
  { spec }: Service,
  addresses: ServiceAddresses,
  slices: readonly EndpointSlice[],
  { ranges, aggregates, node }: ServiceInputs,
): boolean {
  const { type = "ClusterIP", clusterIP = "", externalTrafficPolicy } = spec;
  if (type === "ExternalName" || clusterIP === "" || clusterIP === "None") return false;
  if (externalTrafficPolicy === "Local") return hasReadyEndpoint(spec, slices, node.name);
  if (externalTrafficPolicy === "Cluster") {
    const balanced = [...addresses.loadBalancer, ...addresses.wanted];
    if (type === "LoadBalancer" && hasSingle(balanced, ranges.loadBalancer)) return true;
    if (hasSingle(addresses.external, ranges.external)) return true;
  }
  return !aggregates && hasReadyEndpoint(spec, slices);
}

function hasSingle(addresses: readonly IpAddr[], ranges: readonly Prefix[]): boolean {
  return addresses.some((address) => ranges.includes(hostPrefix(address)));
}

/** On any node, unless one is named; of an address family of the service. */
function hasReadyEndpoint(
  { ipFamilies, clusterIP = "", clusterIPs = [clusterIP] }: Service["spec"],
  slices: readonly EndpointSlice[],
  nodeName?: string,
): boolean {
  const families: readonly string[] =
    ipFamilies ?? clusterIPs.map((address) => (address.includes(":") ? "IPv6" : "IPv4"));
  return slices
    .filter(({ addressType }) => families.includes(addressType))
    .flatMap(({ endpoints = [] }) => endpoints)
    .some(
      ({ conditions, nodeName: host }) =>
        conditions?.ready !== false && (nodeName === undefined || host === nodeName),
    );
}

/** Cluster IPs wherever they lie, once any are told of; others inside the ranges. */
function routedAddresses(
  { cluster, external, loadBalancer }: ServiceAddresses,
  ranges: ServiceRanges,
): readonly IpAddr[] {
  const inside = (addresses: readonly IpAddr[], allowed: readonly Prefix[]) =>
    addresses.filter((address) => allowed.some((range) => prefixHasAddress(range, address)));
  return [
    ...(ranges.cluster.length > 0 ? cluster : []),
    ...inside(external, ranges.external),
    ...inside(loadBalancer, ranges.loadBalancer),
  ];
}

function readAddresses(service: Service, problems: string[]): ServiceAddresses {
  const { clusterIP, clusterIPs = [], externalIPs = [], loadBalancerIP } = service.spec;
  const ingress = service.status?.loadBalancer?.ingress ?? [];
  const read = (texts: readonly (string | undefined)[]): readonly IpAddr[] =>
    texts.flatMap((text) => {
      if (text === undefined || text === "" || text === "None") return [];
      try {
        return [parseIpAddr(text)];
      } catch (error) {
        problems.push(`Service "${keyOf(service)}": ${errorMessage(error)}`);
        return [];
      }
    });
  return {
    cluster: read(clusterIPs.length > 0 ? clusterIPs : [clusterIP]),
    external: read(externalIPs),
    loadBalancer: read(ingress.map(({ ip }) => ip)),
    wanted: read([loadBalancerIP]),
  };
}

function slicesByService(slices: Iterable<EndpointSlice>): Map<string, EndpointSlice[]> {
  const byService = new Map<string, EndpointSlice[]>();
  for (const slice of slices) {
    const { namespace = "", labels } = slice.metadata;
    const key = `${namespace}/${labels?.[serviceNameLabel] ?? ""}`;
    const others = byService.get(key);
    if (others === undefined) byService.set(key, [slice]);
    else others.push(slice);
  }
  return byService;
}

/** "NAMESPACE/NAME". */
function keyOf({ metadata: { namespace = "", name } }: Service): string {
  return `${namespace}/${name}`;
}
