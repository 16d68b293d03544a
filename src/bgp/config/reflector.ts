import { type IpAddr, type IpFamily, ipFamily } from "../../lib/ip-addr.ts";
import { hostPrefix } from "../../lib/prefix.ts";
import { BgpFilters } from "./bgp-filters.ts";
import { type BgpNode, bgpNodes, dottedId, globalAsOf } from "./bgp-nodes.ts";
import { type BgpResources, configurationOf } from "./bgp-resources.ts";
import { serviceRangesOf, widest } from "./services.ts";
import { hashedId, poolsOf, routingOf, type SpeakerConfig, sessions } from "./speaker-config.ts";

/** A route reflector that is no node: it runs beside a node's speaker, on another port of its host. */
export interface ReflectorIdentity {
  /** Of the pod: never that of a node. */
  readonly name: string;
  /** Of the host, one of a family. */
  readonly addresses: readonly IpAddr[];
  readonly port: number;
  /** The same of all reflectors of a cluster, so that none takes the others' routes (RFC 4456 section 7). */
  readonly clusterId: number;
}

/**
 * What the resources ask of a route reflector: every node that has an address is a client, and connects by
 * the reflector's BGPPeer. It announces nothing itself, and the kernel gets nothing. Pure.
 *
 * @throws {SyntaxError} when the cluster's AS number cannot be read.
 */
export function reflectorConfig(
  resources: BgpResources,
  reflector: ReflectorIdentity,
): SpeakerConfig {
  const problems: string[] = [];
  const nodes = bgpNodes(resources, problems);
  const me = asNode(reflector, resources);
  const routerId = ownRouterId(reflector.name, nodes);
  const configuration = configurationOf(resources, me.name);
  const ranges = serviceRangesOf(configuration, undefined);
  return {
    nodeName: me.name,
    asn: me.asn,
    routerId,
    listenPort: me.listenPort,
    listenAddresses: reflector.addresses,
    ...clients(nodes, me, { routerId, resources }),
    originated: [],
    confirmedBlocks: [],
    serviceRanges: [...ranges.cluster, ...ranges.loadBalancer, ...ranges.external],
    reflectedServices: widest([...ranges.loadBalancer, ...ranges.external]),
    ...routingOf(me, poolsOf(resources, problems), { resources, configuration, problems }, {}),
    install: false,
    problems,
  };
}

function asNode(
  { name, addresses, port, clusterId }: ReflectorIdentity,
  resources: BgpResources,
): BgpNode {
  return {
    name,
    labels: {},
    addresses: Object.fromEntries(addresses.map((address) => [ipFamily(address), address])),
    networks: addresses.map(hostPrefix),
    asn: globalAsOf(resources),
    listenPort: port,
    clusterId,
  };
}

/** A hash of the name, and not what a node may have: neither its address nor a hash of its name. */
function ownRouterId(name: string, nodes: readonly BgpNode[]): number {
  const taken = new Set(
    nodes.flatMap(({ name: node, addresses }) => [
      hashedId(node),
      ...(addresses[4] === undefined ? [] : [dottedId(addresses[4])]),
    ]),
  );
  let id = hashedId(name);
  for (let i = 1; taken.has(id); i++) id = hashedId(`${name} ${i}`);
  return id;
}

/** Nodes connect; we wait for them. */
function clients(
  nodes: readonly BgpNode[],
  me: BgpNode,
  { routerId, resources }: { readonly routerId: number; readonly resources: BgpResources },
): Pick<SpeakerConfig, "peers" | "blocked"> {
  const families = Object.keys(me.addresses).map(Number) as IpFamily[];
  const neighbors = nodes.flatMap((node) =>
    families.flatMap((family) => {
      const address = node.addresses[family];
      if (address === undefined) return [];
      const { listenPort: port, asn } = node;
      const from = { origin: `Node ${node.name}`, calicoNode: true, fromNodeAddress: true };
      return [{ type: "NodePeer" as const, address, port, asn, ...from }];
    }),
  );
  const filters = new BgpFilters(resources.filters);
  const { peers, blocked } = sessions(neighbors, { me, routerId, filters, secrets: new Map() });
  return {
    peers: peers.map((peer) => ({ ...peer, config: { ...peer.config, passive: true } })),
    blocked,
  };
}
