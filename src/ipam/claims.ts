import type { BlockAffinity, IPAMBlockSpec } from "../api/resources/ipam.ts";
import { isDatastoreError } from "../datastore/datastore.ts";
import type { Prefix } from "../lib/prefix.ts";
import { bumpSequence, isEmpty, newBlock } from "./block.ts";
import { hostAffinity, isConfirmed, newAffinity } from "./block-affinity.ts";
import type { IpamRecords, StoredBlock } from "./ipam-records.ts";

/*
 * Which node owns a block (facts 3.1 and 3.2, claim protocol). Two objects say it: the block's
 * `affinity`, which decides, and the BlockAffinity, which says that a node is about to get, has, or
 * is about to give up the block. A node is sure of a block only with both.
 *
 *   nothing -> affinity pending -> block created -> affinity confirmed
 *   nothing -> block created and affinity confirmed, where the datastore can write both at once
 *   confirmed -> affinity pendingDeletion -> block deleted, or kept without owner -> affinity deleted
 *
 * A crash leaves one of these states. Whoever comes next, owner or rival, goes on from it.
 */

/**
 * Makes the block the node's: at once where the datastore can, else step by step.
 *
 * `beside` is called with the write that may be lost, or with the one after it: a driver may make one
 * call of both.
 *
 * @returns undefined when another node has it; nothing of ours is left behind then.
 */
export async function claimBlock(
  records: IpamRecords,
  node: string,
  cidr: Prefix,
  beside: () => Promise<void> = async () => undefined,
): Promise<StoredBlock | undefined> {
  const outcome = await claimAtOnce(records, { node, cidr, beside });
  if (outcome === "rivals") return undefined;
  return outcome ?? (await claimBySteps(records, { node, cidr, beside }));
}

interface Claim {
  readonly node: string;
  readonly cidr: Prefix;
  readonly beside: () => Promise<void>;
}

/**
 * Block and confirmed affinity in one write. One that takes place late is a claim like any other.
 *
 * @returns undefined when the datastore cannot, or something is there that may be ours.
 */
async function claimAtOnce(
  records: IpamRecords,
  { node, cidr, beside }: Claim,
): Promise<StoredBlock | "rivals" | undefined> {
  if (!records.createsTogether) return undefined;
  const block = newBlock(cidr, hostAffinity(node), records.now());
  const [created, seen] = await Promise.all([
    records.createBlockWithAffinity(block, newAffinity(node, cidr, "confirmed")),
    records.block(cidr),
    beside(),
  ]);
  if (created !== undefined) return created;
  return isRivals(node, seen) ? "rivals" : undefined;
}

function isRivals(node: string, block: StoredBlock | undefined): boolean {
  return block !== undefined && block.spec.affinity !== hostAffinity(node);
}

/**
 * The block is read beside the first write. That may come too early to say that the block is ours: only a
 * rival's, which ends the claim whenever it was seen, is believed.
 */
async function claimBySteps(
  records: IpamRecords,
  { node, cidr, beside }: Claim,
): Promise<StoredBlock | undefined> {
  const claimed = await records.retry(async () => {
    const [pending, early] = await Promise.all([
      records.writeAffinity(node, cidr, "pending", { likelyNew: true }),
      records.block(cidr),
    ]);
    const block = isRivals(node, early)
      ? early
      : ((await createBlock(records, node, cidr)) ?? (await records.block(cidr)));
    if (block === undefined) return undefined;
    if (isRivals(node, block)) {
      const [removed] = await Promise.all([records.remove(pending), beside()]);
      // Changed since: perhaps by another process of this node, to which the block may have come.
      return removed ? null : undefined;
    }
    // Not read again: when somebody changed it since, this claim begins again.
    await records.updateAffinity(pending, "confirmed");
    return block;
  });
  return claimed ?? undefined;
}

async function createBlock(
  records: IpamRecords,
  node: string,
  cidr: Prefix,
): Promise<StoredBlock | undefined> {
  try {
    return await records.createBlock(newBlock(cidr, hostAffinity(node), records.now()));
  } catch (error) {
    if (isDatastoreError(error, "already-exists")) return undefined;
    throw error;
  }
}

/**
 * The block behind one of the node's affinities, once both agree. An affinity that was left pending
 * is confirmed, or its block claimed; a stale one is deleted.
 *
 * @param seen the affinity as it was just read, to spare reading it again.
 * @returns undefined when the block is not the node's.
 */
export async function ownBlock(
  records: IpamRecords,
  node: string,
  cidr: Prefix,
  seen?: BlockAffinity,
): Promise<StoredBlock | undefined> {
  let listed = seen;
  const owned = await records.retry(async () => {
    const affinity = listed ?? (await records.affinity(node, cidr));
    listed = undefined;
    if (affinity === undefined) return null;
    const block = await records.block(cidr);
    if (block === undefined) return (await claimBlock(records, node, cidr)) ?? null;
    if (block.spec.affinity !== hostAffinity(node)) {
      return (await records.remove(affinity)) ? null : undefined;
    }
    if (isConfirmed(affinity.spec)) return block;
    await records.writeAffinity(node, cidr, "pending");
    // Rewritten so that a rival, who read it in order to delete it, cannot.
    const fenced = await records.updateBlock(block, bumpSequence(block.spec));
    await records.writeAffinity(node, cidr, "confirmed");
    return fenced;
  });
  return owned ?? undefined;
}

export interface AffinityRelease {
  readonly node: string;
  readonly cidr: Prefix;
  /** Then a block with addresses in use or cooling is kept. */
  readonly mustBeEmpty: boolean;
  /** Then a block that was written since is kept. */
  readonly sequenceNumber?: bigint;
}

/**
 * Takes the block from the node. An empty block is deleted; another stays, without an owner, until
 * its last address is released.
 */
export function releaseAffinity(
  records: IpamRecords,
  wanted: AffinityRelease,
): Promise<"released" | "kept"> {
  const { node, cidr } = wanted;
  return records.retry(async () => {
    const affinity = await records.affinity(node, cidr);
    const block = await records.block(cidr);
    if (block === undefined || block.spec.affinity !== hostAffinity(node)) {
      if (affinity !== undefined && !(await records.remove(affinity))) return undefined;
      return "released";
    }
    if (mustKeep(block.spec, wanted)) {
      if (affinity?.spec.state === "pendingDeletion") {
        await records.updateAffinity(affinity, "confirmed");
      }
      return "kept";
    }
    const marked =
      affinity === undefined
        ? undefined
        : await records.updateAffinity(affinity, "pendingDeletion");
    if (!isEmpty(block.spec)) await records.updateBlock(block, withoutOwner(block.spec));
    else if (!(await records.remove(block.resource))) return undefined;
    if (marked !== undefined && !(await records.remove(marked))) return undefined;
    return "released";
  });
}

function mustKeep(block: IPAMBlockSpec, wanted: AffinityRelease): boolean {
  if (!wanted.mustBeEmpty) return false;
  const { sequenceNumber = block.sequenceNumber } = wanted;
  return !isEmpty(block) || sequenceNumber !== block.sequenceNumber;
}

function withoutOwner(block: IPAMBlockSpec): IPAMBlockSpec {
  const { affinity: _owner, affinityClaimTime: _since, ...rest } = block;
  return bumpSequence(rest);
}
