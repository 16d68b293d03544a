import type { Resource } from "../meta.ts";

export type EncapMode = "Never" | "Always" | "CrossSubnet";
export type PoolUse = "Workload" | "Tunnel" | "LoadBalancer";

/** Facts 2.3. `cidr` and `blockSize` never change. */
export interface IPPoolSpec {
  readonly cidr: string;
  readonly blockSize?: number;
  readonly ipipMode?: EncapMode;
  readonly vxlanMode?: EncapMode;
  readonly natOutgoing?: boolean;
  readonly disabled?: boolean;
  readonly disableBGPExport?: boolean;
  readonly nodeSelector?: string;
  readonly namespaceSelector?: string;
  readonly allowedUses?: readonly PoolUse[];
  readonly assignmentMode?: "Automatic" | "Manual";
}
export type IPPool = Resource<"IPPool", IPPoolSpec>;
