import type { Resource } from "../meta.ts";

interface CidrEntry {
  readonly cidr: string;
}
export interface SecretKeyRef {
  readonly name: string;
  readonly key: string;
  readonly optional?: boolean;
}

/** Which pool classes a component programs into the kernel (facts 0.1). */
export type ProgramClusterRoutes =
  | "Disabled"
  | "Enabled"
  | "EnabledNoEncapOnly"
  | "EnabledIPIPOnly";

/** Facts 5.2. Named "default" or "node.<name>". */
export interface BGPConfigurationSpec {
  readonly logSeverityScreen?: string;
  readonly nodeToNodeMeshEnabled?: boolean;
  readonly asNumber?: number | string;
  readonly serviceClusterIPs?: readonly CidrEntry[];
  readonly serviceExternalIPs?: readonly CidrEntry[];
  readonly serviceLoadBalancerIPs?: readonly CidrEntry[];
  readonly serviceLoadBalancerAggregation?: "Enabled" | "Disabled";
  readonly communities?: readonly { readonly name: string; readonly value: string }[];
  readonly prefixAdvertisements?: readonly {
    readonly cidr?: string;
    readonly communities?: readonly string[];
  }[];
  readonly listenPort?: number;
  readonly nodeMeshPassword?: { readonly secretKeyRef?: SecretKeyRef };
  readonly nodeMeshMaxRestartTime?: string;
  readonly bindMode?: "None" | "NodeIP";
  readonly ignoredInterfaces?: readonly string[];
  readonly localWorkloadPeeringIPV4?: string;
  readonly localWorkloadPeeringIPV6?: string;
  readonly programClusterRoutes?: ProgramClusterRoutes;
  readonly ipv4NormalRoutePriority?: number;
  readonly ipv6NormalRoutePriority?: number;
}
export type BGPConfiguration = Resource<"BGPConfiguration", BGPConfigurationSpec>;

/** Facts 5.3. */
export interface BGPPeerSpec {
  readonly node?: string;
  readonly nodeSelector?: string;
  readonly peerIP?: string;
  readonly asNumber?: number | string;
  readonly localASNumber?: number | string;
  readonly peerSelector?: string;
  readonly keepOriginalNextHop?: boolean;
  readonly nextHopMode?: "Auto" | "Self" | "Keep";
  readonly password?: { readonly secretKeyRef?: SecretKeyRef };
  readonly sourceAddress?: "UseNodeIP" | "None";
  readonly maxRestartTime?: string;
  readonly keepaliveTime?: string;
  readonly numAllowedLocalASNumbers?: number;
  readonly ttlSecurity?: number;
  readonly reachableBy?: string;
  readonly filters?: readonly string[];
  readonly localWorkloadSelector?: string;
  readonly reversePeering?: "Auto" | "Manual";
}
export type BGPPeer = Resource<"BGPPeer", BGPPeerSpec>;
