import type { BlockAttribute, IPAMBlockSpec } from "../api/resources/ipam.ts";
import type { IpAddr } from "../lib/ip-addr.ts";
import { addressOf, bumpSequence, ownerOf, sanitizeHandle } from "./block.ts";
import { ordinalsOfHandle, pruneAttributes } from "./block-release.ts";

/*
 * Addresses of a handle outlive the pods that have them (facts 3.12): the attributes of an address name the
 * pod that has it now, and the one that it moves to. Either may be nobody.
 */

export type OwnerAttributes = Readonly<Record<string, string>>;

export interface PodName {
  readonly namespace: string;
  readonly pod: string;
}

/** An address that a handle holds, and which pods have it. Nobody: no attributes. */
export interface HeldAddress {
  readonly address: IpAddr;
  readonly block: string;
  readonly ordinal: number;
  readonly handle: string;
  readonly sequenceNumber: bigint;
  readonly owner: OwnerAttributes;
  readonly alternateOwner: OwnerAttributes;
}

/** Attribute of an address that its assigner may still give up for another's. */
const claimAttribute = "claim";

/** Attributes of an address until its assigner knows that it is alone. */
export function pendingOwner<Owner extends OwnerAttributes>(owner: Owner): Owner {
  return { ...owner, [claimAttribute]: "pending" };
}

export function isPending({ owner }: HeldAddress): boolean {
  return owner[claimAttribute] === "pending";
}

export function isOwner(attributes: OwnerAttributes, { namespace, pod }: PodName): boolean {
  return attributes["namespace"] === namespace && attributes["pod"] === pod;
}

export function hasOwner({ owner, alternateOwner }: HeldAddress): boolean {
  return owner["pod"] !== undefined || Object.keys(alternateOwner).length > 0;
}

/** Addresses of a block in use by the handle. */
export function heldAddresses(block: IPAMBlockSpec, handle: string): HeldAddress[] {
  return ordinalsOfHandle(block, handle).map(({ ordinal }) => {
    const { secondary = {}, alternateOwnerAttrs = {} } = ownerOf(block, ordinal) ?? {};
    return {
      address: addressOf(block, ordinal),
      block: block.cidr,
      ordinal,
      handle: sanitizeHandle(handle),
      sequenceNumber: block.sequenceNumberForAllocation[ordinal] ?? 0n,
      owner: secondary,
      alternateOwner: alternateOwnerAttrs,
    };
  });
}

/**
 * The block with `owner` as the pod that has the address. The address gets a new sequence number, as if it
 * were assigned again: a release by the one that was seen before does not hit it any more.
 *
 * @returns undefined when the address was released or taken over since it was seen.
 */
export function takeOver(
  block: IPAMBlockSpec,
  seen: HeldAddress,
  owner: OwnerAttributes & { readonly namespace: string; readonly pod: string },
): IPAMBlockSpec | undefined {
  const { ordinal, handle, sequenceNumber } = seen;
  const present = ownerOf(block, ordinal);
  if (present === undefined || present.releasedAt !== undefined) return undefined;
  if (present.handle_id !== handle) return undefined;
  if (block.sequenceNumberForAllocation[ordinal] !== sequenceNumber) return undefined;
  const { alternateOwnerAttrs: other } = present;
  const changed = withAttribute(block, ordinal, {
    handle_id: handle,
    secondary: owner,
    ...(other === undefined || isOwner(other, owner) ? {} : { alternateOwnerAttrs: other }),
  });
  const sequences = {
    ...block.sequenceNumberForAllocation,
    [ordinal]: block.sequenceNumber,
  };
  return bumpSequence({ ...changed, sequenceNumberForAllocation: sequences });
}

/**
 * The block without the pod as an owner of the handle's addresses, which the handle keeps.
 *
 * @returns the same object when the pod has none of them.
 */
export function withoutOwner(block: IPAMBlockSpec, handle: string, pod: PodName): IPAMBlockSpec {
  let changed = block;
  for (const { ordinal, handle: handle_id, owner, alternateOwner } of heldAddresses(
    block,
    handle,
  )) {
    const [isActive, isAlternate] = [isOwner(owner, pod), isOwner(alternateOwner, pod)];
    if (!isActive && !isAlternate) continue;
    const isLeft = (attributes: OwnerAttributes, isCleared: boolean) =>
      !isCleared && Object.keys(attributes).length > 0;
    const { [claimAttribute]: claim } = owner;
    const left = !isActive ? owner : claim === undefined ? {} : { [claimAttribute]: claim };
    changed = withAttribute(changed, ordinal, {
      handle_id,
      ...(isLeft(left, false) ? { secondary: left } : {}),
      ...(isLeft(alternateOwner, isAlternate) ? { alternateOwnerAttrs: alternateOwner } : {}),
    });
  }
  return changed === block ? block : bumpSequence(changed);
}

/** Others may share the attribute that the address had. */
function withAttribute(
  block: IPAMBlockSpec,
  ordinal: number,
  attribute: BlockAttribute,
): IPAMBlockSpec {
  const index = block.attributes.length;
  return pruneAttributes({
    ...block,
    allocations: block.allocations.map((entry, i) => (i === ordinal ? index : entry)),
    attributes: [...block.attributes, attribute],
  });
}
