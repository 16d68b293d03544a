import type { BgpAnnotations } from "../../api/bgp-annotations.ts";
import type { SecretKeyRef } from "../../api/resources/bgp.ts";
import type { Asn } from "../../lib/asn.ts";
import { errorMessage } from "../../lib/errors.ts";
import { type IpAddr, type IpFamily, ipFamily } from "../../lib/ip-addr.ts";
import { prefixHasAddress } from "../../lib/prefix.ts";
import type { BfdConfig, PeerConfig } from "../peer/peer.ts";
import type { PeerPolicy } from "../policy/peer-policy.ts";
import type { BgpFilters } from "./bgp-filters.ts";
import { type BgpNode, defaultPort } from "./bgp-nodes.ts";
import { passwordOf, type Secrets } from "./secrets.ts";

/** The types of facts 5.14 and 5.11; `node status` derives them from the session name. */
export type PeerType =
  | "NodeMesh"
  | "GlobalPeer"
  | "NodePeer"
  | "LocalWorkload"
  | "Static"
  | "Dynamic";

/** A neighbor that is spoken to, with what import and export policy ask about it. */
export interface SpeakerPeer {
  readonly type: PeerType;
  readonly config: PeerConfig;
  readonly policy: PeerPolicy;
  /** What made it: "BGPPeer rack1", "mesh", "neighbors[2]". */
  readonly origin?: string;
  /** Words of whoever configured it. */
  readonly description?: string;
}

/** A neighbor that is configured but must not be spoken to, and why. */
export interface BlockedPeer {
  readonly name: string;
  readonly type: PeerType;
  readonly address: IpAddr;
  readonly reason: string;
  /** What made it, as in SpeakerPeer. */
  readonly origin?: string;
}

/** What the mesh and BGPPeers say of one neighbor. */
export interface Neighbor extends BgpAnnotations {
  readonly type: PeerType;
  /** What made it: "mesh", "BGPPeer rack1". */
  readonly origin: string;
  readonly address: IpAddr;
  /** Interface of a link-local address. */
  readonly zone?: string;
  readonly port: number;
  readonly asn: Asn;
  /** The address is that of a node: one of the two sides waits for the other. */
  readonly calicoNode: boolean;
  /** Cluster ID of a node that is a route reflector. */
  readonly clusterId?: number;
  readonly localAs?: Asn;
  /** Our side of the connection is the node's address. */
  readonly fromNodeAddress: boolean;
  readonly restartSeconds?: number;
  readonly keepaliveSeconds?: number;
  readonly nextHopMode?: "Auto" | "Self" | "Keep";
  readonly keepOriginalNextHop?: boolean;
  readonly allowedLocalAs?: number;
  /** Names of BGPFilters, in order. */
  readonly filters?: readonly string[];
  readonly password?: SecretKeyRef;
  readonly ttlSecurityHops?: number;
  /** Gateway of a route to the address. */
  readonly reachableBy?: IpAddr;
}

/** What sessions of a node are made with. */
export interface SessionContext {
  readonly me: BgpNode;
  readonly routerId: number;
  readonly filters: BgpFilters;
  readonly secrets: Secrets;
}

const proposed = { holdSeconds: 90, connectRetrySeconds: 5, gracefulRestartSeconds: 120 };

/** Of the limit of max-prefixes. */
const warnPercent = 75;

const namePrefix: Readonly<Record<PeerType, string>> = {
  NodeMesh: "Mesh",
  GlobalPeer: "Global",
  NodePeer: "Node",
  LocalWorkload: "Local_Workload",
  Static: "Static",
  Dynamic: "Dynamic",
};

/** Facts 5.16 step 6: "Mesh_10_0_0_2", with "_port_1790" where the port is not 179. */
export function sessionName({ type, address, zone, port }: Neighbor): string {
  const where = zone === undefined ? address : `${address}%${zone}`;
  const name = `${namePrefix[type]}_${where.replaceAll(/[.:%]/g, "_")}`;
  return port === defaultPort || type === "NodeMesh" ? name : `${name}_port_${port}`;
}

/** The session with a neighbor (facts 5.16 steps 7 to 11), or why there is none. */
export function sessionWith(
  neighbor: Neighbor,
  context: SessionContext,
): SpeakerPeer | BlockedPeer {
  const { type, address, origin } = neighbor;
  try {
    const config = configOf(neighbor, context);
    return { type, config, policy: policyOf(neighbor, config, context), origin };
  } catch (error) {
    const reason = errorMessage(error);
    return { name: sessionName(neighbor), type, address, reason, origin };
  }
}

/** @throws {SyntaxError} with the reason why the peer must stay down. */
function configOf(neighbor: Neighbor, { me, routerId, secrets }: SessionContext): PeerConfig {
  const { address, zone, password } = neighbor;
  const family = ipFamily(address);
  const localAddress = me.addresses[family];
  const isOnLink = zone !== undefined || neighbor.type === "LocalWorkload";
  if (localAddress === undefined && !isOnLink) {
    throw new SyntaxError(`this node has no IPv${family} address`);
  }
  const localAs = neighbor.localAs ?? me.asn;
  const client = clientOf(neighbor, localAs, me);
  const fromNode = neighbor.fromNodeAddress && !isOnLink && localAddress !== undefined;
  return {
    ...proposed,
    name: sessionName(neighbor),
    address,
    port: neighbor.port,
    remoteAs: neighbor.asn,
    localAs,
    localRouterId: routerId,
    ...(fromNode ? { localAddress } : {}),
    passive: isPassive(neighbor, localAddress),
    ...familiesOf(neighbor),
    ...(zone === undefined ? {} : { zone }),
    ...(password === undefined ? {} : { password: passwordOf(password, secrets) }),
    ...timersOf(neighbor),
    ...(client === undefined ? {} : { reflectorClient: { clusterId: client } }),
    ...(neighbor.ttlSecurityHops === undefined
      ? {}
      : { ttlSecurityHops: neighbor.ttlSecurityHops }),
    ...(neighbor.bfd === undefined ? {} : { bfd: bfdOf(neighbor.bfd, neighbor, me) }),
  };
}

/** Routes of a session's own family, and those of IPv4 where they may have an IPv6 next hop. */
function familiesOf({
  address,
  extendedNextHop = false,
}: Neighbor): Pick<PeerConfig, "families" | "extendedNextHop"> {
  const family = ipFamily(address);
  if (!extendedNextHop || family === 4) return { families: [family] };
  return { families: [4, 6], extendedNextHop };
}

function timersOf(neighbor: Neighbor): Partial<PeerConfig> {
  const { restartSeconds, keepaliveSeconds, longLivedStaleSeconds } = neighbor;
  return {
    ...(restartSeconds === undefined ? {} : { gracefulRestartSeconds: restartSeconds }),
    ...(keepaliveSeconds === undefined ? {} : { keepaliveSeconds }),
    ...(longLivedStaleSeconds === undefined ? {} : { longLivedStaleSeconds }),
  };
}

/** Facts 5.16 step 8: our cluster ID towards an iBGP peer that is not of our cluster. */
function clientOf({ asn, clusterId }: Neighbor, localAs: Asn, me: BgpNode): number | undefined {
  return asn === localAs && clusterId !== me.clusterId ? me.clusterId : undefined;
}

/** RFC 5883 for a peer that is in none of our networks. */
function bfdOf(
  { intervalMs, multiplier, multihop }: NonNullable<Neighbor["bfd"]>,
  { address, zone }: Neighbor,
  me: BgpNode,
): BfdConfig {
  const isNear =
    zone !== undefined || me.networks.some((network) => prefixHasAddress(network, address));
  return {
    minReceiveMs: intervalMs,
    minTransmitMs: intervalMs,
    multiplier,
    multihop: multihop ?? !isNear,
  };
}

/** @throws {SyntaxError} when a filter is missing. */
function policyOf(neighbor: Neighbor, config: PeerConfig, context: SessionContext): PeerPolicy {
  const { keepOriginalNextHop, allowedLocalAs = 0, filters = [], maxPrefixes } = neighbor;
  const keep = keepOriginalNextHop === true && config.remoteAs !== config.localAs;
  return {
    nextHopMode: keep ? "Keep" : (neighbor.nextHopMode ?? "Auto"),
    allowedLocalAs,
    ...context.filters.of(filters),
    ...(maxPrefixes === undefined ? {} : { maxPrefixes: limitsOf(config.families, maxPrefixes) }),
  };
}

function limitsOf(
  families: readonly IpFamily[],
  limit: NonNullable<Neighbor["maxPrefixes"]>,
): NonNullable<PeerPolicy["maxPrefixes"]> {
  return Object.fromEntries(families.map((family) => [family, { ...limit, warnPercent }]));
}

/**
 * Facts 5.16 step 10: both ends compare the addresses as text, so that exactly one connects. A
 * node-specific peer always connects, as the other end may not know of us; a workload always is the
 * one that connects.
 */
function isPassive({ type, calicoNode, address }: Neighbor, localAddress?: IpAddr): boolean {
  if (type === "LocalWorkload") return true;
  return type !== "NodePeer" && calicoNode && localAddress !== undefined && address > localAddress;
}
