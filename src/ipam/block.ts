import { calicoApiVersion } from "../api/meta.ts";
import { cidrName } from "../api/names.ts";
import type { BlockAttribute, IPAMBlock, IPAMBlockSpec } from "../api/resources/ipam.ts";
import type { IpAddr } from "../lib/ip-addr.ts";
import {
  nthAddress,
  type Prefix,
  parsePrefix,
  prefixHasAddress,
  prefixSize,
} from "../lib/prefix.ts";

/*
 * One block of addresses as a value (facts 3.1). Every function gives a new block and leaves the old
 * one as it was. For each address exactly one holds:
 *
 *   free      allocations[i] is null, i is in `unallocated`
 *   in use    allocations[i] points at an attribute without `releasedAt`
 *   cooling   allocations[i] points at an attribute with `releasedAt`: neither free nor in use
 *
 * A function that changes the block also raises `sequenceNumber`, except collectGarbage: what it
 * does is kept only when its caller has another reason to write.
 */

/** To whom an address belongs. */
export interface AddressOwner {
  readonly handle: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** One address that was taken from a block. */
export interface BlockAssignment {
  readonly ordinal: number;
  readonly address: IpAddr;
  /** Names this very assignment: a release that carries it cannot hit the next owner. */
  readonly sequenceNumber: bigint;
}

/** A block with every address free. `sequenceNumber` starts at the time in nanoseconds. */
export function newBlock(cidr: Prefix, affinity: string, now: Date): IPAMBlockSpec {
  const size = Number(prefixSize(cidr));
  return {
    cidr,
    affinity,
    affinityClaimTime: now.toISOString(),
    allocations: Array.from({ length: size }, () => null),
    unallocated: Array.from({ length: size }, (_, ordinal) => ordinal),
    attributes: [],
    sequenceNumber: BigInt(now.getTime()) * 1_000_000n,
    sequenceNumberForAllocation: {},
    deleted: false,
    strictAffinity: false,
  };
}

/** A block that is not stored yet. */
export function blockResource(spec: IPAMBlockSpec): IPAMBlock {
  const metadata = { name: cidrName(parsePrefix(spec.cidr)) };
  return { apiVersion: calicoApiVersion, kind: "IPAMBlock", metadata, spec };
}

/**
 * A block as it was read, in the form that the functions here work on: sequence numbers that a JSON
 * reader took for numbers are bigints again, and what very old blocks lack is there.
 */
export function normalizeBlock(spec: IPAMBlockSpec): IPAMBlockSpec {
  const sequences = Object.entries(spec.sequenceNumberForAllocation ?? {});
  return {
    ...spec,
    attributes: spec.attributes ?? [],
    sequenceNumber: BigInt(spec.sequenceNumber ?? 0),
    sequenceNumberForAllocation: Object.fromEntries(
      sequences.map(([ordinal, sequence]) => [ordinal, BigInt(sequence)]),
    ),
  };
}

/** The same block with the next sequence number: what a write without a change must carry. */
export function bumpSequence(block: IPAMBlockSpec): IPAMBlockSpec {
  return { ...block, sequenceNumber: block.sequenceNumber + 1n };
}

/**
 * Takes up to `count` free addresses, the longest idle first. Gives fewer when fewer are free and not
 * reserved.
 */
export function assign(
  block: IPAMBlockSpec,
  count: number,
  owner: AddressOwner,
  reserved: readonly Prefix[] = [],
): { readonly block: IPAMBlockSpec; readonly assigned: readonly BlockAssignment[] } {
  const ordinals = unreserved(block, reserved).slice(0, count);
  return ordinals.length === 0 ? { block, assigned: [] } : allocate(block, ordinals, owner);
}

/** Ordinals that are free, and not reserved. */
export function unreserved(block: IPAMBlockSpec, reserved: readonly Prefix[]): readonly number[] {
  if (reserved.length === 0) return block.unallocated;
  return block.unallocated.filter((ordinal) => {
    const address = addressOf(block, ordinal);
    return !reserved.some((prefix) => prefixHasAddress(prefix, address));
  });
}

/**
 * Takes one given address.
 *
 * @returns undefined when it is in use or cooling, or the block has no such ordinal.
 */
export function assignSpecific(
  block: IPAMBlockSpec,
  ordinal: number,
  owner: AddressOwner,
): { readonly block: IPAMBlockSpec; readonly assigned: readonly BlockAssignment[] } | undefined {
  return block.unallocated.includes(ordinal) ? allocate(block, [ordinal], owner) : undefined;
}

function allocate(
  block: IPAMBlockSpec,
  ordinals: readonly number[],
  owner: AddressOwner,
): { readonly block: IPAMBlockSpec; readonly assigned: readonly BlockAssignment[] } {
  const attribute: BlockAttribute = {
    handle_id: sanitizeHandle(owner.handle),
    secondary: owner.attributes,
  };
  const known = block.attributes.findIndex(
    (entry) =>
      entry.handle_id === attribute.handle_id &&
      attributeIdentity(entry) === attributeIdentity(attribute),
  );
  const index = known === -1 ? block.attributes.length : known;
  const taken = new Set(ordinals);
  const sequence = block.sequenceNumber;
  const sequences = Object.fromEntries(ordinals.map((ordinal) => [ordinal, sequence]));
  return {
    block: bumpSequence({
      ...block,
      allocations: block.allocations.map((entry, i) => (taken.has(i) ? index : entry)),
      unallocated: block.unallocated.filter((ordinal) => !taken.has(ordinal)),
      attributes: known === -1 ? [...block.attributes, attribute] : block.attributes,
      sequenceNumberForAllocation: { ...block.sequenceNumberForAllocation, ...sequences },
    }),
    assigned: ordinals.map((ordinal) => ({
      ordinal,
      address: addressOf(block, ordinal),
      sequenceNumber: sequence,
    })),
  };
}

/** Facts 3.5: a handle ends at its first carriage return. */
export function sanitizeHandle(handle: string): string {
  return handle.split("\r", 1)[0] ?? "";
}

function attributeIdentity(attribute: BlockAttribute): string {
  const sorted = (record: Readonly<Record<string, string>> | undefined) =>
    Object.entries(record ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([
    attribute.handle_id ?? "",
    sorted(attribute.secondary),
    sorted(attribute.alternateOwnerAttrs),
    attribute.releasedAt ?? "",
  ]);
}

/** Address of an ordinal of the block. */
export function addressOf(block: IPAMBlockSpec, ordinal: number): IpAddr {
  return nthAddress(block.cidr as Prefix, ordinal);
}

/** What holds an address: undefined when it is free. A cooling one has `releasedAt`. */
export function ownerOf(block: IPAMBlockSpec, ordinal: number): BlockAttribute | undefined {
  const index = block.allocations[ordinal];
  return index === null || index === undefined ? undefined : block.attributes[index];
}

/** True when no address is in use or cooling: only then may the block be given away. */
export function isEmpty(block: IPAMBlockSpec): boolean {
  return block.allocations.every((entry) => entry === null);
}

/** Free, in use, cooling: they add up to the size of the block. */
export function countAddresses(block: IPAMBlockSpec): {
  readonly free: number;
  readonly inUse: number;
  readonly cooling: number;
} {
  let inUse = 0;
  let cooling = 0;
  for (const entry of block.allocations) {
    if (entry === null) continue;
    if (block.attributes[entry]?.releasedAt === undefined) inUse++;
    else cooling++;
  }
  return { free: block.allocations.length - inUse - cooling, inUse, cooling };
}
