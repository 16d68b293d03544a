import type { BlockAffinity, IPAMHandle, IPAMHandleSpec } from "../api/resources/ipam.ts";
import { getOrCreate } from "../lib/collections.ts";
import { type Prefix, parsePrefix } from "../lib/prefix.ts";
import type { Allocation } from "./audit.ts";
import { bumpSequence } from "./block.ts";
import { affineNode, hostAffinity, isConfirmed } from "./block-affinity.ts";
import { ordinalsOfHandle } from "./block-release.ts";
import { claimBlock, ownBlock } from "./claims.ts";
import { handleName } from "./handles.ts";
import type { IpamRecords, StoredBlock } from "./ipam-records.ts";

/*
 * What a crash leaves is repaired by the next try of the same pod, or the next claim of the same node
 * (facts 3.1). Some never come: the pod is not tried again, the node claims nothing more. What stays
 * then is found here, and repaired by the garbage collection once nobody has touched it for long.
 */

/** A handle that counts other addresses than the blocks give it. */
export interface MiscountedHandle {
  readonly handle: string;
  /** What it was when it was seen; undefined: it was not there. */
  readonly resourceVersion: string | undefined;
  readonly blocks: readonly Prefix[];
}

/** A node's claim of a block that was begun or given up, and not finished. */
export interface UnsettledAffinity {
  readonly node: string;
  readonly cidr: Prefix;
  /** The BlockAffinity's; undefined: only the block names the node. */
  readonly resourceVersion: string | undefined;
}

/** Pure. */
export function miscountedHandles(
  handles: readonly IPAMHandle[],
  allocations: readonly Allocation[],
): MiscountedHandle[] {
  const found = new Map<string, { id: string; blocks: Map<string, number> }>();
  for (const { handle, block, coolingSince } of allocations) {
    if (coolingSince !== undefined || handle === "") continue;
    const { blocks } = getOrCreate(found, handleName(handle), () => ({
      id: handle,
      blocks: new Map<string, number>(),
    }));
    blocks.set(block, (blocks.get(block) ?? 0) + 1);
  }
  const present = handles.flatMap(({ metadata, spec }): MiscountedHandle[] => {
    const { blocks } = found.get(metadata.name) ?? { blocks: new Map<string, number>() };
    found.delete(metadata.name);
    const all = new Set([...Object.keys(spec.block), ...blocks.keys()] as Prefix[]);
    if ([...all].every((block) => (spec.block[block] ?? 0) === (blocks.get(block) ?? 0))) return [];
    const { resourceVersion } = metadata;
    return [{ handle: spec.handleID, resourceVersion, blocks: [...all] }];
  });
  const absent = [...found.values()].map(({ id, blocks }) => ({
    handle: id,
    resourceVersion: undefined,
    blocks: [...blocks.keys()] as Prefix[],
  }));
  return [...present, ...absent];
}

/** Pure. */
export function unsettledAffinities(
  affinities: readonly BlockAffinity[],
  blocks: readonly StoredBlock[],
): UnsettledAffinity[] {
  const owners = new Map(blocks.map(({ cidr, spec }) => [cidr, spec.affinity]));
  const claimed = new Set<string>();
  const unsettled: UnsettledAffinity[] = [];
  for (const { metadata, spec } of affinities) {
    if ((spec.type ?? "host") !== "host") continue;
    const cidr = parsePrefix(spec.cidr);
    claimed.add(`${hostAffinity(spec.node)} ${cidr}`);
    if (isConfirmed(spec) && owners.get(cidr) === hostAffinity(spec.node)) continue;
    const { resourceVersion } = metadata;
    unsettled.push({ node: spec.node, cidr, resourceVersion });
  }
  for (const [cidr, affinity] of owners) {
    const node = affineNode(affinity);
    if (node === undefined || claimed.has(`${affinity} ${cidr}`)) continue;
    unsettled.push({ node, cidr, resourceVersion: undefined });
  }
  return unsettled;
}

/**
 * Makes the handle count what its blocks give it, unless it was written since it was seen. Blocks that
 * give it fewer are rewritten first: an assigner who still means to write one finds a conflict.
 */
export async function repairHandle(records: IpamRecords, seen: MiscountedHandle): Promise<void> {
  const { handle, blocks } = seen;
  const read = await records.handle(handle);
  if (read?.metadata.resourceVersion !== seen.resourceVersion) return;
  const block: Record<string, number> = {};
  for (const cidr of blocks) {
    const stored = await records.block(cidr);
    if (stored === undefined) continue;
    const found = ordinalsOfHandle(stored.spec, handle).length;
    if (found < (read?.spec.block[cidr] ?? 0)) {
      await records.updateBlock(stored, bumpSequence(stored.spec));
    }
    if (found > 0) block[cidr] = found;
  }
  const spec: IPAMHandleSpec = { ...(read?.spec ?? { handleID: handle, deleted: false }), block };
  await records.writeHandle(read, spec);
}

/** Finishes a claim: confirmed where the block is the node's, else undone. */
export async function settleAffinity(
  records: IpamRecords,
  { node, cidr, resourceVersion }: UnsettledAffinity,
): Promise<void> {
  const [affinity, block] = [await records.affinity(node, cidr), await records.block(cidr)];
  if (affinity?.metadata.resourceVersion !== resourceVersion) return;
  const isOwner = block?.spec.affinity === hostAffinity(node);
  if (affinity === undefined) {
    if (isOwner) await claimBlock(records, node, cidr);
  } else if (isOwner) await ownBlock(records, node, cidr);
  else await records.remove(affinity);
}
