import type { Resource } from "../meta.ts";

/** CIDRs that selectors find by the set's labels (facts 2.5). */
export interface NetworkSetSpec {
  readonly nets?: readonly string[];
}
export type NetworkSet = Resource<"NetworkSet", NetworkSetSpec>;
export type GlobalNetworkSet = Resource<"GlobalNetworkSet", NetworkSetSpec>;
