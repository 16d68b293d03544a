import type { Resource } from "../meta.ts";

/** What an address is assigned to (facts 2.7). `secondary` keys: pod, namespace, node, type, ... */
export interface BlockAttribute {
  readonly handle_id?: string;
  readonly secondary?: Readonly<Record<string, string>>;
  readonly alternateOwnerAttrs?: Readonly<Record<string, string>>;
  /** RFC 3339, set while the address is in cooldown. */
  readonly releasedAt?: string;
}

/** Facts 2.3 and 2.7. Sequence numbers exceed 2^53, so they are bigints. */
export interface IPAMBlockSpec {
  readonly cidr: string;
  /** "host:<node>" or "virtual:<name>". */
  readonly affinity?: string;
  readonly affinityClaimTime?: string;
  /** One entry an address: null when free, else an index into `attributes`. */
  readonly allocations: readonly (number | null)[];
  /** Free ordinals, the longest idle first. */
  readonly unallocated: readonly number[];
  readonly attributes: readonly BlockAttribute[];
  readonly sequenceNumber: bigint;
  readonly sequenceNumberForAllocation: Readonly<Record<string, bigint>>;
  readonly deleted?: boolean;
  readonly strictAffinity?: boolean;
}
/** metadata.name is the CIDR's name: "10-0-0-64-26". */
export type IPAMBlock = Resource<"IPAMBlock", IPAMBlockSpec>;

export type AffinityState = "pending" | "confirmed" | "pendingDeletion" | "";

export interface BlockAffinitySpec {
  readonly state: AffinityState;
  readonly node: string;
  /** "host" when absent. */
  readonly type?: "host" | "virtual";
  readonly cidr: string;
  readonly deleted?: boolean;
}
/** metadata.name as facts 2.3: "<node>-10-0-0-64-26". */
export type BlockAffinity = Resource<"BlockAffinity", BlockAffinitySpec>;

export interface IPAMHandleSpec {
  readonly handleID: string;
  /** Addresses held in each block: CIDR to count. */
  readonly block: Readonly<Record<string, number>>;
  readonly deleted?: boolean;
}
/** metadata.name is the handle ID in lower case. */
export type IPAMHandle = Resource<"IPAMHandle", IPAMHandleSpec>;

export interface IPAMConfigurationSpec {
  readonly strictAffinity?: boolean;
  readonly autoAllocateBlocks?: boolean;
  readonly maxBlocksPerHost?: number;
  readonly kubeVirtVMAddressPersistence?: "Enabled" | "Disabled";
  readonly ipCooldownSeconds?: number;
}
/** The only one is named "default". */
export type IPAMConfiguration = Resource<"IPAMConfiguration", IPAMConfigurationSpec>;
