import type { Resource } from "../meta.ts";

/** The parts of `networking.k8s.io/v1` NetworkPolicy and `v1` Namespace that we read. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
    readonly values?: readonly string[];
  }[];
}

export interface KubernetesPolicyPeer {
  readonly podSelector?: LabelSelector;
  readonly namespaceSelector?: LabelSelector;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
}

export interface KubernetesPolicyPort {
  readonly protocol?: "TCP" | "UDP" | "SCTP";
  readonly port?: number | string;
  readonly endPort?: number;
}

export interface KubernetesNetworkPolicySpec {
  readonly podSelector?: LabelSelector;
  readonly policyTypes?: readonly ("Ingress" | "Egress")[];
  readonly ingress?: readonly {
    readonly from?: readonly KubernetesPolicyPeer[];
    readonly ports?: readonly KubernetesPolicyPort[];
  }[];
  readonly egress?: readonly {
    readonly to?: readonly KubernetesPolicyPeer[];
    readonly ports?: readonly KubernetesPolicyPort[];
  }[];
}

/** As the user writes it: apiVersion "networking.k8s.io/v1". Stored as NetworkPolicy "knp.default.<name>". */
export type KubernetesNetworkPolicy = Resource<"NetworkPolicy", KubernetesNetworkPolicySpec>;

/** As the user writes it: apiVersion "v1". Stored as Profile "kns.<name>". */
export type KubernetesNamespace = Resource<"Namespace", unknown>;

/** The parts of a `v1` Service that we read. */
export interface ServiceSpec {
  /** Absent: ClusterIP. */
  readonly type?: "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName";
  /** "None": headless. */
  readonly clusterIP?: string;
  readonly clusterIPs?: readonly string[];
  readonly ipFamilies?: readonly ("IPv4" | "IPv6")[];
  readonly externalIPs?: readonly string[];
  readonly loadBalancerIP?: string;
  readonly loadBalancerClass?: string;
  readonly externalTrafficPolicy?: "Cluster" | "Local";
}
export interface ServiceStatus {
  readonly loadBalancer?: {
    readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string }[];
  };
}
export type Service = Resource<"Service", ServiceSpec, ServiceStatus>;

/** The parts of a `discovery.k8s.io/v1` EndpointSlice that we read. It has no spec. */
export interface EndpointSlice extends Resource<"EndpointSlice", object> {
  readonly addressType: "IPv4" | "IPv6" | "FQDN";
  readonly endpoints?: readonly {
    readonly addresses?: readonly string[];
    /** Absent: ready. */
    readonly conditions?: { readonly ready?: boolean };
    readonly nodeName?: string;
  }[];
  readonly ports?: readonly {
    readonly name?: string;
    /** Absent: TCP. */
    readonly protocol?: "TCP" | "UDP" | "SCTP";
    /** Absent: not restricted. */
    readonly port?: number;
  }[];
}

/** Label of an EndpointSlice: the Service that it is of. */
export const serviceNameLabel = "kubernetes.io/service-name";

/** A `coordination.k8s.io/v1` Lease. */
export interface LeaseSpec {
  /** Absent or empty: nobody has it. */
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  /** RFC 3339 with microseconds, as renewTime. */
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}
export type Lease = Resource<"Lease", LeaseSpec>;
