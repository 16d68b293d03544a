import type { BlockAffinity } from "../../api/resources/ipam.ts";
import type { Node } from "../../api/resources/node.ts";
import { isIpAddr, parseIpAddr } from "../../lib/ip-addr.ts";
import { hostPrefix, type Prefix, parsePrefix, prefixContains } from "../../lib/prefix.ts";
import type { BgpPool } from "./pool-classes.ts";

/** Blocks of a node as BGP needs them. */
export interface OwnBlocks {
  /** Announced. */
  readonly originated: readonly Prefix[];
  /** Those of them that the export policy knows as ours (facts 5.17 step 7). */
  readonly confirmed: readonly Prefix[];
}

/**
 * Blocks affine to `nodeName` (facts 5.6). Pending affinities do not count yet; those to be deleted
 * are still announced while they are there, as pods may still have addresses of them.
 *
 * Differs from facts 5.6 for blocks of one address: upstream announces them by the pod's kernel
 * route, that it learns; here the block itself is announced.
 */
export function ownBlocks(affinities: Iterable<BlockAffinity>, nodeName: string): OwnBlocks {
  const originated = new Set<Prefix>();
  const confirmed = new Set<Prefix>();
  for (const { spec } of affinities) {
    if (spec.node !== nodeName || spec.deleted === true || spec.type === "virtual") continue;
    if (spec.state === "pending") continue;
    const block = parsePrefix(spec.cidr);
    originated.add(block);
    if (spec.state !== "pendingDeletion") confirmed.add(block);
  }
  return { originated: [...originated].sort(), confirmed: [...confirmed].sort() };
}

/** Addresses of a node's own tunnel devices, of all kinds (facts 3.9). */
export function tunnelAddresses({ spec }: Node): string[] {
  const { bgp, wireguard, ipv4VXLANTunnelAddr, ipv6VXLANTunnelAddr } = spec;
  return [
    bgp?.ipv4IPIPTunnelAddr,
    ipv4VXLANTunnelAddr,
    ipv6VXLANTunnelAddr,
    wireguard?.interfaceIPv4Address,
    wireguard?.interfaceIPv6Address,
  ].filter((address): address is string => address !== undefined && address !== "");
}

/**
 * Those of some addresses that are announced each for itself: they lie in a pool, and in the block of
 * another node or of none. Upstream learns them from the kernel (facts 5.17, steps 7 and 10).
 */
export function borrowed(
  addresses: Iterable<Prefix>,
  { blocks, pools }: { readonly blocks: readonly Prefix[]; readonly pools: readonly BgpPool[] },
): Prefix[] {
  return [...addresses].filter(
    (address) =>
      pools.some(({ prefix, disabled }) => !disabled && prefixContains(prefix, address)) &&
      !blocks.some((block) => prefixContains(block, address)),
  );
}

/** @returns tunnel addresses of `node` that are not of its own blocks. */
export function borrowedTunnels(
  node: Node,
  of: { readonly blocks: readonly Prefix[]; readonly pools: readonly BgpPool[] },
): Prefix[] {
  const addresses = tunnelAddresses(node).filter(isIpAddr).map(parseIpAddr);
  return borrowed(addresses.map(hostPrefix), of);
}
