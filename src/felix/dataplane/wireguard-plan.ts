import type { IpAddr } from "../../lib/ip-addr.ts";
import { comparePrefixes, type Prefix } from "../../lib/prefix.ts";
import type { ClusterRoute, RouteType, WireguardEnd } from "../calc/updates.ts";

/** What is known of the cluster, of one family. */
export interface WireguardView {
  readonly nodeName: string;
  /** By node, as are the nodes' addresses. */
  readonly ends: ReadonlyMap<string, WireguardEnd>;
  readonly addresses: ReadonlyMap<string, IpAddr>;
  readonly routes: Iterable<ClusterRoute>;
  /** What nodes themselves send to each other goes through the tunnel too. */
  readonly hostEncryption: boolean;
}

export interface PlannedPeer {
  readonly publicKey: string;
  readonly address: IpAddr;
  readonly allowed: readonly Prefix[];
}

export interface WireguardPlan {
  /** By node. */
  readonly peers: ReadonlyMap<string, PlannedPeer>;
  /** What goes through the tunnel: all that peers may send from. */
  readonly encrypted: readonly Prefix[];
  /** What the main table decides: this node's own, and that of nodes which are no peers. */
  readonly thrown: readonly Prefix[];
}

/**
 * Who is a peer, and what goes to whom (facts 4.21). A node is a peer when it has an address and a key
 * that no other node claims: all who claim one key are none.
 */
export function wireguardPlan(view: WireguardView): WireguardPlan {
  const keys = peerKeys(view);
  const allowed = new Map<string, Prefix[]>([...keys.keys()].map((node) => [node, []]));
  const encrypted: Prefix[] = [];
  const thrown: Prefix[] = [];
  for (const route of view.routes) {
    const { destination, node } = route;
    if (node === undefined || !isCarried(route, view.hostEncryption)) continue;
    const ofPeer = allowed.get(node);
    ofPeer?.push(destination);
    if (ofPeer !== undefined) encrypted.push(destination);
    else if (!isWithinOwnBlock(route)) thrown.push(destination);
  }
  const peers = [...keys].map(([node, { publicKey, address }]) => {
    const own = (allowed.get(node) ?? []).sort(comparePrefixes);
    return [node, { publicKey, address, allowed: own }] as const;
  });
  return { peers: new Map(peers), encrypted, thrown };
}

function peerKeys({ nodeName, ends, addresses }: WireguardView) {
  const claims = new Map<string, number>();
  for (const { publicKey } of ends.values()) {
    if (publicKey !== undefined) claims.set(publicKey, (claims.get(publicKey) ?? 0) + 1);
  }
  const keys = new Map<string, { readonly publicKey: string; readonly address: IpAddr }>();
  for (const [node, { publicKey }] of ends) {
    const address = addresses.get(node);
    if (node === nodeName || publicKey === undefined || address === undefined) continue;
    if (claims.get(publicKey) === 1) keys.set(node, { publicKey, address });
  }
  return keys;
}

const carried: readonly RouteType[] = [
  "localWorkload",
  "remoteWorkload",
  "localTunnel",
  "remoteTunnel",
];

/** A node's own address is not, unless hosts are to be encrypted: it is where the tunnel's packets go. */
function isCarried({ types }: ClusterRoute, hostEncryption: boolean): boolean {
  if (types.has("localHost")) return false;
  if (types.has("remoteHost")) return hostEncryption;
  return carried.some((type) => types.has(type));
}

/** A pod's own route need not be thrown: its block's is, and there may be hundreds. */
function isWithinOwnBlock({ localWorkload, borrowed }: ClusterRoute): boolean {
  return localWorkload && !borrowed;
}
