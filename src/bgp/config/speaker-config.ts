import { hash } from "node:crypto";
import type { SharedClass } from "../../api/cluster-routes.ts";
import { isDraining } from "../../api/drain.ts";
import { isElected } from "../../api/elected-reflectors.ts";
import type { BGPConfigurationSpec } from "../../api/resources/bgp.ts";
import type { Node } from "../../api/resources/node.ts";
import type { Asn } from "../../lib/asn.ts";
import { compareText } from "../../lib/collections.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import { hostPrefix, type Prefix } from "../../lib/prefix.ts";
import type { DynamicPeers } from "../peer/peer.ts";
import { normalRoutePriority } from "../policy/export-attributes.ts";
import type { Community, PeerPolicy } from "../policy/peer-policy.ts";
import { BgpFilters } from "./bgp-filters.ts";
import { type BgpNode, bgpNodes, defaultPort, dottedId, globalAsOf } from "./bgp-nodes.ts";
import { type BgpResources, configurationOf } from "./bgp-resources.ts";
import { advertisementsOf } from "./communities.ts";
import { blocksInUse } from "./drain.ts";
import { meshNeighbors } from "./mesh.ts";
import { NodeIndex } from "./node-index.ts";
import { borrowedTunnels, type OwnBlocks, ownBlocks } from "./originate.ts";
import { type PeerContext, peerNeighbors } from "./peers.ts";
import { type BgpPool, bgpPool } from "./pool-classes.ts";
import { routeOwner } from "./route-owner.ts";
import type { Secrets } from "./secrets.ts";
import { serviceRangesOf, serviceRoutes, widest } from "./services.ts";
import {
  type BlockedPeer,
  type Neighbor,
  type SessionContext,
  type SpeakerPeer,
  sessionName,
  sessionWith,
} from "./session.ts";

/** All that a speaker is told to do. Plain data: two equal configs need no change. */
export interface SpeakerConfig {
  readonly nodeName: string;
  readonly asn: Asn;
  /** As an unsigned 32-bit number. */
  readonly routerId: number;
  readonly listenPort: number;
  /** Empty when the node has no address. */
  readonly listenAddresses: readonly IpAddr[];
  readonly peers: readonly SpeakerPeer[];
  /** Peers that are kept down. */
  readonly blocked: readonly BlockedPeer[];
  /** Neighbours by prefix, with the policy that each of them gets. */
  readonly dynamicPeers?: readonly {
    readonly peers: DynamicPeers;
    readonly policy: PeerPolicy;
    readonly description?: string;
  }[];
  readonly originated: readonly Prefix[];
  /** What our own file wants announced with attributes of its own. */
  readonly originatedRoutes?: readonly OriginatedRoute[];
  /** Blocks of ours with a confirmed affinity. */
  readonly confirmedBlocks: readonly Prefix[];
  readonly pools: readonly BgpPool[];
  /** Ranges of services: never programmed into the kernel (facts 5.8). */
  readonly serviceRanges: readonly Prefix[];
  /**
   * Ranges of services that are told: what this node announces for them, and on a route reflector what
   * others announce (facts 5.17 steps 8 and 9). None lies in another.
   */
  readonly reflectedServices: readonly Prefix[];
  /** Read by `advertisementsOf`, which accepts them. */
  readonly advertisements: Pick<BGPConfigurationSpec, "communities" | "prefixAdvertisements">;
  readonly normalPriority: Readonly<Record<IpFamily, number>>;
  /** Classes of pools whose routes and blackholes are ours to program (facts 5.7). */
  readonly programs: readonly SharedClass[];
  /** The networks that the node's own addresses lie in: what is there is reached without a tunnel. */
  readonly ownNetworks?: readonly Prefix[];
  /** Our route reflector cluster. */
  readonly clusterId?: number;
  /** False: the kernel gets no routes, and every next hop counts as reachable at cost 0. Absent: true. */
  readonly install?: boolean;
  /** Kernel table of our routes. Absent: main. */
  readonly table?: number;
  /** Most next hops of one route. Absent: 16. */
  readonly maxPaths?: number;
  /** Routes to peers that are reached by a gateway only (BGPPeer reachableBy). */
  readonly hostRoutes?: readonly HostRoute[];
  /** Severity of what is logged, as Calico calls it (logSeverityScreen). Absent: as the process was told. */
  readonly logSeverity?: string;
  /** The controllers have made this node a route reflector. Absent: false. */
  readonly elected?: boolean;
  /** This node is about to go: routes leave with GRACEFUL_SHUTDOWN (RFC 8326). Absent: false. */
  readonly draining?: boolean;
  /** What could not be used, and why. */
  readonly problems: readonly string[];
}

export interface HostRoute {
  readonly prefix: Prefix;
  readonly gateway: IpAddr;
}

export interface OriginatedRoute {
  readonly prefix: Prefix;
  readonly nextHop: IpAddr | "self";
  readonly communities: readonly Community[];
  readonly med?: number;
  readonly localPref?: number;
}

export interface SpeakerEnv {
  readonly CALICO_ROUTER_ID?: string;
  /** One range of cluster IPs, instead of serviceClusterIPs. */
  readonly CALICO_ADVERTISE_CLUSTER_IPS?: string;
  /** What Kubernetes calls this node. */
  readonly CALICO_K8S_NODE_REF?: string;
  readonly FELIX_PROGRAMCLUSTERROUTES?: string;
}

/**
 * What the resources ask of the speaker on `nodeName`. Pure. Undefined while the node has no BGP
 * identity: there is nobody to speak as.
 *
 * @throws {SyntaxError} when the AS number or router ID of this node cannot be read.
 */
export function speakerConfig(
  resources: BgpResources,
  nodeName: string,
  env: SpeakerEnv = {},
  secrets: Secrets = new Map(),
): SpeakerConfig | undefined {
  const problems: string[] = [];
  const nodes = bgpNodes(resources, problems);
  const me = nodes.find(({ name }) => name === nodeName);
  const node = resources.nodes.get(nodeName);
  if (me === undefined || node === undefined) return undefined;
  const configuration = configurationOf(resources, nodeName);
  const routerId = routerIdOf(me, env);
  const all = ownBlocks(resources.affinities.values(), nodeName);
  const blocks = blocksInUse(all, node, resources.workloads.values());
  const neighbors = neighborsOf(me, nodes, { resources, configuration, problems });
  const filters = new BgpFilters(resources.filters);
  const pools = poolsOf(resources, problems);
  return {
    nodeName,
    asn: me.asn,
    routerId,
    listenPort: me.listenPort,
    listenAddresses: listenAddresses(me, configuration),
    ...sessions(neighbors, { me, routerId, filters, secrets }),
    ...hostRoutesOf(neighbors),
    ...announced(me, { node, blocks, pools }, { resources, configuration, problems }, env),
    ...routingOf(me, pools, { resources, configuration, problems }, env),
    ...(isDraining(node) ? { draining: true } : {}),
    ...(isElected(node) ? { elected: true } : {}),
    problems,
  };
}

export interface Inputs {
  readonly resources: BgpResources;
  readonly configuration: BGPConfigurationSpec;
  readonly problems: string[];
}

/** What this node announces, and which services are told. */
function announced(
  me: BgpNode,
  own: { readonly node: Node; readonly blocks: OwnBlocks; readonly pools: readonly BgpPool[] },
  { resources, configuration, problems }: Inputs,
  env: SpeakerEnv,
) {
  const { originated, confirmed } = own.blocks;
  const ranges = serviceRangesOf(configuration, env.CALICO_ADVERTISE_CLUSTER_IPS);
  const services = serviceRoutes(
    {
      services: resources.services.values(),
      endpointSlices: resources.endpointSlices.values(),
      ranges,
      aggregates: configuration.serviceLoadBalancerAggregation !== "Disabled",
      node: { name: env.CALICO_K8S_NODE_REF || me.name, labels: me.labels },
    },
    problems,
  );
  const reflected = me.clusterId === undefined ? [] : [...ranges.loadBalancer, ...ranges.external];
  return {
    originated: [
      ...new Set([
        ...originated,
        ...borrowedTunnels(own.node, { blocks: originated, pools: own.pools }),
        ...services,
      ]),
    ],
    confirmedBlocks: confirmed,
    serviceRanges: [...ranges.cluster, ...ranges.loadBalancer, ...ranges.external],
    reflectedServices: widest([...reflected, ...services]),
  };
}

export function routingOf(
  me: BgpNode,
  pools: readonly BgpPool[],
  { resources, configuration, problems }: Inputs,
  env: SpeakerEnv,
): Pick<
  SpeakerConfig,
  | "pools"
  | "advertisements"
  | "normalPriority"
  | "programs"
  | "ownNetworks"
  | "clusterId"
  | "logSeverity"
> {
  return {
    pools,
    advertisements: readableAdvertisements(configuration, problems),
    normalPriority: {
      4: configuration.ipv4NormalRoutePriority ?? normalRoutePriority,
      6: configuration.ipv6NormalRoutePriority ?? normalRoutePriority,
    },
    programs: routeOwner(me, { resources, configuration, pools, env }, problems),
    ownNetworks: me.networks,
    ...(me.clusterId === undefined ? {} : { clusterId: me.clusterId }),
    ...(configuration.logSeverityScreen === undefined
      ? {}
      : { logSeverity: configuration.logSeverityScreen }),
  };
}

/** Facts 5.3, reachableBy. The first peer of an address wins. */
function hostRoutesOf(neighbors: readonly Neighbor[]): Pick<SpeakerConfig, "hostRoutes"> {
  const routes = new Map<Prefix, HostRoute>();
  for (const { address, reachableBy: gateway } of neighbors) {
    const prefix = hostPrefix(address);
    if (gateway !== undefined && !routes.has(prefix)) routes.set(prefix, { prefix, gateway });
  }
  return routes.size === 0 ? {} : { hostRoutes: [...routes.values()] };
}

function neighborsOf(me: BgpNode, nodes: readonly BgpNode[], inputs: Inputs): Neighbor[] {
  const { resources, configuration, problems } = inputs;
  const context: PeerContext = {
    me,
    nodes: new NodeIndex(nodes),
    globalAs: globalAsOf(resources),
    globalPort: resources.configurations.get("default")?.spec.listenPort ?? defaultPort,
    workloads: [...resources.workloads.values()].filter(({ spec }) => spec.node === me.name),
  };
  return [
    ...meshNeighbors(me, nodes, configuration),
    ...peerNeighbors(resources.peers.values(), context, problems),
  ];
}

/**
 * One session an address and port: what comes later (global, then node-specific) is kept down. Of two with one
 * address and different ports the first has what the neighbor opens; the other only connects.
 */
export function sessions(
  neighbors: readonly Neighbor[],
  context: SessionContext,
): { readonly peers: readonly SpeakerPeer[]; readonly blocked: readonly BlockedPeer[] } {
  const peers: SpeakerPeer[] = [];
  const blocked: BlockedPeer[] = [];
  const taken = new Map<string, string>();
  for (const neighbor of neighbors) {
    const { address, zone = "", type, port, origin } = neighbor;
    const [first, same] = [address + zone, `${address}${zone} ${port}`].map((key) =>
      taken.get(key),
    );
    const name = sessionName(neighbor);
    const session = sessionWith(neighbor, context);
    const waits = "config" in session && session.config.passive;
    const holder = same ?? (waits ? first : undefined);
    if (holder !== undefined) {
      blocked.push({ name, type, address, reason: `${holder} is with the same address`, origin });
      continue;
    }
    if (first === undefined) taken.set(address + zone, name);
    taken.set(`${address}${zone} ${port}`, name);
    if (!("config" in session)) blocked.push(session);
    else if (first === undefined) peers.push(session);
    else peers.push({ ...session, config: { ...session.config, connectOnly: true } });
  }
  peers.sort((a, b) => compareText(a.config.name, b.config.name));
  blocked.sort((a, b) => compareText(a.name, b.name));
  return { peers, blocked };
}

export function poolsOf({ pools }: BgpResources, problems: string[]): readonly BgpPool[] {
  const read: BgpPool[] = [];
  for (const pool of pools.values()) {
    try {
      read.push(bgpPool(pool));
    } catch (error) {
      problems.push(`Cannot use IPPool "${pool.metadata.name}": ${errorMessage(error)}`);
    }
  }
  return read.sort((a, b) => compareText(a.prefix, b.prefix));
}

function readableAdvertisements(
  { communities = [], prefixAdvertisements = [] }: BGPConfigurationSpec,
  problems: string[],
): SpeakerConfig["advertisements"] {
  const advertisements = { communities, prefixAdvertisements };
  try {
    advertisementsOf(advertisements);
    return advertisements;
  } catch (error) {
    problems.push(`Cannot use prefixAdvertisements: ${errorMessage(error)}`);
    return {};
  }
}

function listenAddresses(me: BgpNode, { bindMode }: BGPConfigurationSpec): readonly IpAddr[] {
  const { 4: v4, 6: v6 } = me.addresses;
  if (bindMode === "NodeIP") return [v4, v6].filter((address) => address !== undefined);
  return [
    ...(v4 === undefined ? [] : ["0.0.0.0" as IpAddr]),
    ...(v6 === undefined ? [] : ["::" as IpAddr]),
  ];
}

/** CALICO_ROUTER_ID: an address, "hash" of the node's name (facts 5.17), else the node's IPv4 address. */
function routerIdOf(me: BgpNode, env: SpeakerEnv): number {
  const text = env.CALICO_ROUTER_ID?.trim() ?? "";
  if (text !== "" && text !== "hash") return dottedId(text);
  const address = me.addresses[4];
  if (text === "" && address !== undefined) return dottedId(address);
  return hashedId(me.name);
}

/** Router ID of a name (facts 5.17). */
export function hashedId(name: string): number {
  const digest = hash("sha256", name, "buffer");
  const first = digest[0] ?? 0;
  digest[0] = first > 223 ? first - 32 : first;
  return digest.readUInt32BE(0);
}
