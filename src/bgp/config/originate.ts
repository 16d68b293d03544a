import type { BlockAffinity } from "../../api/resources/ipam.ts";
import { type Prefix, parsePrefix } from "../../lib/prefix.ts";

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
