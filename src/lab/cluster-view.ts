import type { Datastore } from "../datastore/datastore.ts";
import { type IpAddr, type IpFamily, ipFamily } from "../lib/ip-addr.ts";
import { parseInterfaceAddress } from "../lib/prefix.ts";
import type { PolicyCluster } from "../policy/cluster.ts";
import { readPolicyCluster } from "../policy/read-cluster.ts";
import { Tunnels } from "../policy/tunnels.ts";

/** Everything `lab check` reads from the datastore before it looks at reality. */
export interface ClusterView extends PolicyCluster {
  /** Blocks of each node, by its confirmed affinities. */
  readonly blocks: ReadonlyMap<string, readonly string[]>;
}

export async function readCluster(datastore: Datastore): Promise<ClusterView> {
  const [policy, affinities] = await Promise.all([
    readPolicyCluster(datastore),
    datastore.list("BlockAffinity"),
  ]);
  const blocks = new Map<string, string[]>();
  for (const { spec } of affinities.items) {
    if (spec.state !== "confirmed" && spec.state !== "") continue;
    blocks.set(spec.node, [...(blocks.get(spec.node) ?? []), spec.cidr]);
  }
  return { ...policy, blocks };
}

/** A node's own address of a family, as its Node has it. */
export function nodeAddress(
  { nodes }: ClusterView,
  nodeName: string,
  family: IpFamily,
): IpAddr | undefined {
  const bgp = nodes.find(({ metadata }) => metadata.name === nodeName)?.spec.bgp;
  const text = family === 4 ? bgp?.ipv4Address : bgp?.ipv6Address;
  return text === undefined ? undefined : parseInterfaceAddress(text).address;
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
  const crossing = { from: nodeName, to: target.node, destination: target.address };
  const tunnel = new Tunnels(view).deviceAddress(nodeName, crossing);
  return tunnel ?? nodeAddress(view, nodeName, ipFamily(target.address));
}
