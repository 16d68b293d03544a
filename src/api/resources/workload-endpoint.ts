import type { Resource } from "../meta.ts";
import type { Protocol } from "./rule.ts";

export interface EndpointPort {
  readonly name?: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly hostPort?: number;
  readonly hostIP?: string;
}

/**
 * Limits of one pod's traffic (facts 2.6): bandwidths and peak rates in bits a second, bursts in bits, minimum bursts
 * in bytes, packets a second, packets, connections.
 */
export interface QoSControls {
  readonly ingressBandwidth?: number;
  readonly egressBandwidth?: number;
  readonly ingressBurst?: number;
  readonly egressBurst?: number;
  readonly ingressPeakrate?: number;
  readonly egressPeakrate?: number;
  readonly ingressMinburst?: number;
  readonly egressMinburst?: number;
  readonly ingressPacketRate?: number;
  readonly egressPacketRate?: number;
  readonly ingressPacketBurst?: number;
  readonly egressPacketBurst?: number;
  readonly ingressMaxConnections?: number;
  readonly egressMaxConnections?: number;
  /** Of what leaves the pod: 0 to 63, or a name (`dscpValue` reads both). */
  readonly dscp?: number | string;
}

/** One interface of one pod (facts 2.6). metadata.name is "<node>-k8s-<pod>-eth0" with "-" doubled. */
export interface WorkloadEndpointSpec {
  readonly orchestrator: string;
  readonly workload?: string;
  readonly node: string;
  readonly containerID?: string;
  readonly pod?: string;
  readonly endpoint: string;
  readonly serviceAccountName?: string;
  /** /32s and /128s. */
  readonly ipNetworks?: readonly string[];
  readonly ipNATs?: readonly { readonly internalIP: string; readonly externalIP: string }[];
  readonly ipv4Gateway?: string;
  readonly ipv6Gateway?: string;
  readonly profiles?: readonly string[];
  /** Name of the veth in the node's namespace. */
  readonly interfaceName: string;
  readonly mac?: string;
  readonly ports?: readonly EndpointPort[];
  readonly allowSpoofedSourcePrefixes?: readonly string[];
  readonly qosControls?: QoSControls;
}
export type WorkloadEndpoint = Resource<"WorkloadEndpoint", WorkloadEndpointSpec>;
