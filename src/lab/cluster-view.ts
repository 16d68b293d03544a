import type { IPPool } from "../api/resources/ip-pool.ts";
import type { Datastore } from "../datastore/datastore.ts";
import { type IpAddr, parseIpAddr } from "../lib/ip-addr.ts";
import { parseInterfaceAddress, parsePrefix, prefixHasAddress, prefixOf } from "../lib/prefix.ts";
import type { PolicyCluster } from "../policy/cluster.ts";
import { readPolicyCluster } from "../policy/read-cluster.ts";

/** Everything `lab check` reads from the datastore before it looks at reality. */
export interface ClusterView extends PolicyCluster {
  readonly pools: readonly IPPool[];
  /** Blocks of each node, by its confirmed affinities. */
  readonly blocks: ReadonlyMap<string, readonly string[]>;
}

export async function readCluster(datastore: Datastore): Promise<ClusterView> {
  const [policy, pools, affinities] = await Promise.all([
    readPolicyCluster(datastore),
    datastore.list("IPPool"),
    datastore.list("BlockAffinity"),
  ]);
  const blocks = new Map<string, string[]>();
  for (const { spec } of affinities.items) {
    if (spec.state !== "confirmed" && spec.state !== "") continue;
    blocks.set(spec.node, [...(blocks.get(spec.node) ?? []), spec.cidr]);
  }
  return { ...policy, pools: pools.items, blocks };
}

/**
 * The source address that a node's own packets to a pod of another node carry: the tunnel's address
 * where they take a tunnel, else the node's.
 */
export function nodeSourceAddress(
  view: ClusterView,
  nodeName: string,
  target: { readonly node: string; readonly address: IpAddr },
): IpAddr | undefined {
  const nodeOf = (name: string) => view.nodes.find(({ metadata }) => metadata.name === name);
  const [from, to] = [nodeOf(nodeName), nodeOf(target.node)];
  if (from?.spec.bgp?.ipv4Address === undefined) return undefined;
  const own = parseInterfaceAddress(from.spec.bgp.ipv4Address);
  const pool = view.pools.find(({ spec }) =>
    prefixHasAddress(parsePrefix(spec.cidr), target.address),
  )?.spec;
  const isIpip = pool?.ipipMode !== undefined && pool.ipipMode !== "Never";
  const mode = isIpip ? pool.ipipMode : pool?.vxlanMode;
  const peer = to?.spec.bgp?.ipv4Address;
  const sameSubnet =
    peer !== undefined &&
    prefixHasAddress(prefixOf(own.address, own.length), parseInterfaceAddress(peer).address);
  const tunneled = mode === "Always" || (mode === "CrossSubnet" && !sameSubnet);
  const { bgp, ipv4VXLANTunnelAddr } = from.spec;
  const tunnelAddress = isIpip ? bgp.ipv4IPIPTunnelAddr : ipv4VXLANTunnelAddr;
  return tunneled && tunnelAddress !== undefined ? parseIpAddr(tunnelAddress) : own.address;
}
