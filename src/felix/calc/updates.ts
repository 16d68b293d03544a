import type { PoolClass } from "../../api/pool-encapsulation.ts";
import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import type { MacAddr } from "../../lib/mac.ts";
import type { Prefix } from "../../lib/prefix.ts";

/**
 * Everything the calculation graph may tell the dataplane. Plain data, one pending update an object:
 * a `set` replaces the whole object, a `change` and a `remove` follow only a `set`. The event
 * sequencer emits them in dependency order (facts 4.1): an object refers only to what was set before it.
 */
export type DataplaneUpdate =
  | { readonly op: "set"; readonly kind: "ipSet"; readonly id: string; readonly value: ActiveIpSet }
  | {
      readonly op: "change";
      readonly kind: "ipSet";
      readonly id: string;
      readonly value: IpSetChange;
    }
  | {
      readonly op: "set";
      readonly kind: "policy";
      readonly id: string;
      readonly value: ActivePolicy;
    }
  | {
      readonly op: "set";
      readonly kind: "profile";
      readonly id: string;
      readonly value: ActiveProfile;
    }
  | {
      readonly op: "set";
      readonly kind: "workloadEndpoint";
      readonly id: string;
      readonly value: LocalEndpoint;
    }
  | {
      readonly op: "set";
      readonly kind: "hostEndpoint";
      readonly id: string;
      readonly value: LocalHostEndpoint;
    }
  | { readonly op: "set"; readonly kind: "vtep"; readonly id: string; readonly value: Vtep }
  | {
      readonly op: "set";
      readonly kind: "wireguard";
      readonly id: string;
      readonly value: WireguardEndpoint;
    }
  | {
      readonly op: "set";
      readonly kind: "route";
      readonly id: string;
      readonly value: ClusterRoute;
    }
  | {
      readonly op: "set";
      readonly kind: "host";
      readonly id: string;
      readonly value: HostAddresses;
    }
  | { readonly op: "set"; readonly kind: "pool"; readonly id: string; readonly value: ActivePool }
  | {
      readonly op: "set";
      readonly kind: "serviceCidrs";
      readonly id: string;
      readonly value: readonly Prefix[];
    }
  | { readonly op: "remove"; readonly kind: UpdateKind; readonly id: string };

export type UpdateKind =
  | "ipSet"
  | "policy"
  | "profile"
  | "workloadEndpoint"
  | "hostEndpoint"
  | "vtep"
  | "wireguard"
  | "route"
  | "host"
  | "pool"
  /** All that services may have; there is one of them. */
  | "serviceCidrs";

/** `id` as facts 4.3: "s:<hash>", "n:<hash>", "svc:<hash>", "svcnoport:<hash>". */
export interface ActiveIpSet {
  readonly type: "hash:net" | "hash:ip,port";
  /** Prefixes ("10.0.0.1/32"; never /0), or "10.0.0.1,tcp:80" for hash:ip,port. Both families. */
  readonly members: ReadonlySet<string>;
}

/** What came to a set and what left it: no member is in both. A set may hold a million. */
export interface IpSetChange {
  readonly add: ReadonlySet<string>;
  readonly remove: ReadonlySet<string>;
}

/** Short kinds of facts 4.6. */
export type PolicyShortKind = "np" | "gnp" | "knp" | "kcnp";

/** A rule whose selectors have become IP set ids: all that rendering needs. Absent: matches any. */
export interface ResolvedRule {
  readonly action: "allow" | "deny" | "log" | "pass";
  readonly ipVersion?: IpFamily;
  readonly protocol?: ProtocolMatch;
  readonly notProtocol?: ProtocolMatch;
  readonly icmp?: { readonly type?: number; readonly code?: number };
  readonly notIcmp?: { readonly type?: number; readonly code?: number };
  readonly source: ResolvedEntity;
  readonly destination: ResolvedEntity;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Lower-case name ("tcp") or number. */
export type ProtocolMatch = string | number;

export interface ResolvedEntity {
  readonly nets: readonly Prefix[];
  readonly notNets: readonly Prefix[];
  /** All must match. */
  readonly ipSets: readonly string[];
  /** hash:ip,port sets of services: all must match. */
  readonly ipPortSets: readonly string[];
  readonly notIpSets: readonly string[];
  readonly ports: readonly PortRange[];
  readonly notPorts: readonly PortRange[];
  /** hash:ip,port sets of named ports: any of them, or any of `ports`, must match. */
  readonly namedPortSets: readonly string[];
  readonly notNamedPortSets: readonly string[];
}

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** A policy that selects at least one local endpoint. `id` is "<shortkind>/<ns>/<name>" or "<shortkind>/<name>". */
export interface ActivePolicy {
  readonly tier: string;
  readonly shortKind: PolicyShortKind;
  readonly namespace?: string;
  readonly name: string;
  /** Original selector text: consecutive policies with equal ones form a group (facts 4.6). */
  readonly selector: string;
  readonly ingress: readonly ResolvedRule[];
  readonly egress: readonly ResolvedRule[];
  readonly types: readonly ("Ingress" | "Egress")[];
}

export interface ActiveProfile {
  readonly ingress: readonly ResolvedRule[];
  readonly egress: readonly ResolvedRule[];
}

/** Policies of one tier that apply to one endpoint, in order of evaluation. */
export interface EndpointTier {
  readonly name: string;
  readonly defaultAction: "Deny" | "Pass";
  /** Policy ids. */
  readonly ingress: readonly string[];
  readonly egress: readonly string[];
}

/** `id` is "<namespace>/<WorkloadEndpoint name>". */
export interface LocalEndpoint {
  readonly interfaceName: string;
  readonly mac?: MacAddr;
  readonly addresses: readonly IpAddr[];
  readonly tiers: readonly EndpointTier[];
  readonly profiles: readonly string[];
  readonly allowedSourcePrefixes: readonly Prefix[];
  /** Addresses under which it is reached besides its own, of the same family as `internal`. */
  readonly floating: readonly { readonly internal: IpAddr; readonly external: IpAddr }[];
  readonly qos?: EndpointQos;
}

/** Ingress is what goes to the pod. */
export interface EndpointQos {
  readonly ingress: DirectionLimits;
  readonly egress: DirectionLimits;
  /** Of what leaves the cluster, 0 to 63. */
  readonly dscp?: number;
}

export interface DirectionLimits {
  readonly bandwidth?: Bandwidth;
  /** Packets a second, and at once. */
  readonly packets?: { readonly rate: number; readonly burst: number };
  /** Of TCP. */
  readonly maxConnections?: number;
}

export interface Bandwidth {
  /** Bits a second. */
  readonly rate: number;
  /** Bits. */
  readonly burst: number;
  /** Bits a second, and octets. */
  readonly peak?: { readonly rate: number; readonly minburst: number };
}

/** A HostEndpoint of this node. `id` is its name. */
export interface LocalHostEndpoint extends HostEndpointTiers {
  /** "*" for all interfaces; absent: the one that has an expected address. */
  readonly interfaceName?: string;
  readonly expectedAddresses: readonly IpAddr[];
  readonly profiles: readonly string[];
}

/** Tiers of a host endpoint, at each place that a packet passes (facts 4.5, 4.11). */
export interface HostEndpointTiers {
  /** For what is to or from the host itself. */
  readonly tiers: readonly EndpointTier[];
  readonly forwardTiers: readonly EndpointTier[];
  readonly untrackedTiers: readonly EndpointTier[];
  /** Ingress alone. */
  readonly preDnatTiers: readonly EndpointTier[];
}

/** Where a node terminates VXLAN. `id` is the node name. The local node's is included. */
export interface Vtep {
  readonly node: string;
  readonly v4?: {
    readonly tunnelAddress: IpAddr;
    readonly mac: MacAddr;
    readonly nodeAddress: IpAddr;
  };
  readonly v6?: {
    readonly tunnelAddress: IpAddr;
    readonly mac: MacAddr;
    readonly nodeAddress: IpAddr;
  };
}

/** Where a node ends WireGuard tunnels. `id` is the node name. The local node's is included. */
export type WireguardEndpoint = Readonly<Partial<Record<IpFamily, WireguardEnd>>>;

export interface WireguardEnd {
  /** As base64. Absent: the node has no WireGuard. */
  readonly publicKey?: string;
  readonly interfaceAddress?: IpAddr;
}

export type { PoolClass };

/** What one CIDR of the cluster is (facts 4.15). `id` is the CIDR. */
export interface ClusterRoute {
  readonly destination: Prefix;
  readonly types: ReadonlySet<RouteType>;
  readonly poolClass: PoolClass;
  readonly node?: string;
  readonly nodeAddress?: IpAddr;
  readonly sameSubnet: boolean;
  readonly natOutgoing: boolean;
  /** It is the address of a local endpoint: the endpoint manager programs it. */
  readonly localWorkload: boolean;
  readonly borrowed: boolean;
}

export type RouteType =
  | "localWorkload"
  | "remoteWorkload"
  | "localHost"
  | "remoteHost"
  | "localTunnel"
  | "remoteTunnel";

/** Addresses of a node. `id` is the node name. */
export interface HostAddresses {
  readonly v4?: { readonly address: IpAddr; readonly length: number };
  readonly v6?: { readonly address: IpAddr; readonly length: number };
  readonly ipipTunnelAddress?: IpAddr;
  /** Tunnel addresses of VXLAN and of our own tunnels, whatever addresses the node itself has. */
  readonly tunnelAddresses?: Readonly<Partial<Record<IpFamily, IpAddr>>>;
}

/** `id` is the pool's key. */
export interface ActivePool {
  readonly cidr: Prefix;
  readonly natOutgoing: boolean;
  readonly poolClass: PoolClass;
  readonly crossSubnet: boolean;
}
