import type { Asn } from "../../lib/asn.ts";
import { type IpAddr, ipFamily } from "../../lib/ip-addr.ts";
import type { PeerConfig } from "../peer/peer.ts";
import type { PeerPolicy } from "../policy/peer-policy.ts";
import { type BgpNode, defaultPort } from "./bgp-nodes.ts";

/** The types of facts 5.14; `node status` derives them from the session name. */
export type PeerType = "NodeMesh" | "GlobalPeer" | "NodePeer" | "Static" | "Dynamic";

/** A neighbor that is spoken to, with what import and export policy ask about it. */
export interface SpeakerPeer {
  readonly type: PeerType;
  readonly config: PeerConfig;
  readonly policy: PeerPolicy;
  /** What made it: "BGPPeer rack1", "mesh", "neighbors[2]". */
  readonly origin?: string;
}

/** A neighbor that is configured but must not be spoken to, and why. */
export interface BlockedPeer {
  readonly name: string;
  readonly type: PeerType;
  readonly address: IpAddr;
  readonly reason: string;
}

/** What the mesh and BGPPeers say of one neighbor. */
export interface Neighbor {
  readonly type: PeerType;
  readonly address: IpAddr;
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
  /** Why it must stay down. */
  readonly blocked?: string;
}

const proposed = { holdSeconds: 90, connectRetrySeconds: 5, gracefulRestartSeconds: 120 };

const namePrefix: Readonly<Record<PeerType, string>> = {
  NodeMesh: "Mesh",
  GlobalPeer: "Global",
  NodePeer: "Node",
  Static: "Static",
  Dynamic: "Dynamic",
};

/** Facts 5.16 step 6: "Mesh_10_0_0_2", with "_port_1790" where the port is not 179. */
export function sessionName({ type, address, port }: Neighbor): string {
  const name = `${namePrefix[type]}_${address.replaceAll(/[.:]/g, "_")}`;
  return port === defaultPort || type === "NodeMesh" ? name : `${name}_port_${port}`;
}

/** The session of `me` with a neighbor (facts 5.16 steps 7 to 10), or why there is none. */
export function sessionWith(
  neighbor: Neighbor,
  me: BgpNode,
  routerId: number,
): SpeakerPeer | BlockedPeer {
  const { type, address } = neighbor;
  const name = sessionName(neighbor);
  const family = ipFamily(address);
  const localAddress = me.addresses[family];
  if (neighbor.blocked !== undefined) return { name, type, address, reason: neighbor.blocked };
  if (localAddress === undefined) {
    return { name, type, address, reason: `this node has no IPv${family} address` };
  }
  const localAs = neighbor.localAs ?? me.asn;
  const external = neighbor.asn !== localAs;
  const client =
    !external && me.clusterId !== undefined && neighbor.clusterId !== me.clusterId
      ? me.clusterId
      : undefined;
  const config: PeerConfig = {
    ...proposed,
    name,
    address,
    port: neighbor.port,
    remoteAs: neighbor.asn,
    localAs,
    localRouterId: routerId,
    ...(neighbor.fromNodeAddress ? { localAddress } : {}),
    passive: isPassive(neighbor, localAddress),
    families: [family],
    ...(neighbor.restartSeconds === undefined
      ? {}
      : { gracefulRestartSeconds: neighbor.restartSeconds }),
    ...(neighbor.keepaliveSeconds === undefined
      ? {}
      : { keepaliveSeconds: neighbor.keepaliveSeconds }),
    ...(client === undefined ? {} : { reflectorClient: { clusterId: client } }),
  };
  const keep = neighbor.keepOriginalNextHop === true && external;
  const nextHopMode = keep ? "Keep" : (neighbor.nextHopMode ?? "Auto");
  const policy = { nextHopMode, allowedLocalAs: neighbor.allowedLocalAs ?? 0 } as const;
  return { type, config, policy };
}

/**
 * Facts 5.16 step 10: both ends compare the addresses as text, so that exactly one connects. A
 * node-specific peer always connects, as the other end may not know of us.
 */
function isPassive({ type, calicoNode, address }: Neighbor, localAddress: IpAddr): boolean {
  return type !== "NodePeer" && calicoNode && address > localAddress;
}
