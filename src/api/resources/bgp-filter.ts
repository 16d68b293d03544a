import type { Resource } from "../meta.ts";

export type BGPFilterOperation =
  | { readonly addCommunity: { readonly value: string } }
  /** The path begins with these, as they are written. */
  | { readonly prependASPath: { readonly prefix: readonly (number | string)[] } }
  | { readonly setPriority: { readonly value: number } };

/** Facts 5.9. All that is given must hold; a rule with an action alone matches every route. */
export interface BGPFilterRule {
  readonly cidr?: string;
  readonly matchOperator?: "Equal" | "NotEqual" | "In" | "NotIn" | "";
  readonly prefixLength?: { readonly min?: number; readonly max?: number };
  /** Of export rules: routes that a peer told. */
  readonly source?: "RemotePeers" | "";
  /** Outgoing interface of the route; "*" stands for anything. */
  readonly interface?: string;
  readonly peerType?: "eBGP" | "iBGP" | "";
  /** Exactly one. */
  readonly communities?: { readonly values: readonly string[] };
  readonly asPathPrefix?: readonly (number | string)[];
  readonly priority?: number;
  readonly action: "Accept" | "Reject";
  readonly operations?: readonly BGPFilterOperation[];
}

export interface BGPFilterSpec {
  readonly exportV4?: readonly BGPFilterRule[];
  readonly importV4?: readonly BGPFilterRule[];
  readonly exportV6?: readonly BGPFilterRule[];
  readonly importV6?: readonly BGPFilterRule[];
}
export type BGPFilter = Resource<"BGPFilter", BGPFilterSpec>;
