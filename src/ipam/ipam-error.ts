import { CodedError } from "../lib/errors.ts";
import type { IpAddr, IpFamily } from "../lib/ip-addr.ts";
import type { Prefix } from "../lib/prefix.ts";

export type IpamFailure =
  /** No pool may be used for this request. */
  | { readonly code: "no-pool"; readonly family: IpFamily; readonly node: string }
  /** The request names a pool that is not there, or may not be used. */
  | { readonly code: "bad-pool"; readonly pool: string }
  /** Every pool that may be used is full. */
  | {
      readonly code: "pool-exhausted";
      readonly family: IpFamily;
      readonly pools: readonly string[];
    }
  /** The node has as many blocks as it may have, and all are full. */
  | { readonly code: "block-limit"; readonly node: string; readonly limit: number }
  /** The node's blocks are full and IPAMConfiguration forbids to take another. */
  | { readonly code: "blocks-fixed"; readonly node: string }
  | { readonly code: "address-taken"; readonly address: IpAddr; readonly handle: string }
  /** Strict affinity forbids an address of another node's block. */
  | { readonly code: "not-affine"; readonly block: Prefix; readonly owner: string }
  /** A release named an owner or a sequence number that the address no longer has. */
  | { readonly code: "owner-changed"; readonly address: IpAddr }
  /** Others changed the same objects at each of our tries. */
  | { readonly code: "too-many-conflicts"; readonly attempts: number };

/** Why IPAM did not do what was asked. The message names pools, blocks and nodes. */
export class IpamError extends CodedError<IpamFailure> {
  override readonly name = "IpamError";
}
