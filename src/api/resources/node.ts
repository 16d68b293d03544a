import type { Condition } from "../condition.ts";
import type { Resource } from "../meta.ts";

/** Facts 2.4. Addresses with a length keep their host bits: "192.168.1.11/24". */
export interface NodeSpec {
  readonly bgp?: {
    readonly ipv4Address?: string;
    readonly ipv6Address?: string;
    readonly asNumber?: number | string;
    readonly routeReflectorClusterID?: string;
    readonly ipv4IPIPTunnelAddr?: string;
  };
  readonly ipv4VXLANTunnelAddr?: string;
  readonly vxlanTunnelMACAddr?: string;
  readonly ipv6VXLANTunnelAddr?: string;
  readonly vxlanTunnelMACAddrV6?: string;
  readonly wireguard?: {
    readonly interfaceIPv4Address?: string;
    readonly interfaceIPv6Address?: string;
  };
  readonly interfaces?: readonly { readonly name: string; readonly addresses: readonly string[] }[];
  readonly addresses?: readonly { readonly address: string; readonly type?: string }[];
  readonly orchRefs?: readonly { readonly nodeName?: string; readonly orchestrator: string }[];
}
export interface NodeStatus {
  readonly wireguardPublicKey?: string;
  readonly wireguardPublicKeyV6?: string;
  readonly podCIDRs?: readonly string[];
  /** Our own, in Kubernetes among the Node's; there also some of Kubernetes' (node-conditions.ts). */
  readonly conditions?: readonly Condition[];
}
export type Node = Resource<"Node", NodeSpec, NodeStatus>;
