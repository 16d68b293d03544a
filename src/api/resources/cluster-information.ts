import type { Resource } from "../meta.ts";

/** The only one is named "default" (facts 2.8). */
export interface ClusterInformationSpec {
  readonly clusterGUID?: string;
  /** "k8s,bgp", ... */
  readonly clusterType?: string;
  readonly calicoVersion?: string;
  /** false: locked for migration, everybody waits. */
  readonly datastoreReady?: boolean;
  readonly variant?: string;
}
export type ClusterInformation = Resource<"ClusterInformation", ClusterInformationSpec>;
