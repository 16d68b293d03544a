import type { ResourceKey } from "../api/resource-key.ts";
import type { WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import type { Datastore } from "../datastore/datastore.ts";
import type { Clock } from "../lib/clock.ts";
import type { IpAddr } from "../lib/ip-addr.ts";
import type { Logger } from "../lib/log.ts";
import type { AddCall, Attachment, Plugin, PodCall, StatusCall } from "./call.ts";
import type { EndpointIdentity } from "./endpoint.ts";
import type { PodNetworkPorts } from "./pod-network.ts";

export interface AgentConfig {
  readonly nodeName: string;
  /** MTU of pods when the configuration names none; 0: the kernel's default. Read at each ADD. */
  defaultMtu(): number;
  /** How long ADD waits for routes and policy to be in the kernel, unless its configuration says. */
  readonly programTimeoutMs: number;
  /** The datastore keeps pods (Kubernetes): it tells their labels and annotations, not the call. */
  readonly podsAreStored: boolean;
}

/** What the agent asks of the parts beside it. */
export interface AgentPorts extends PodNetworkPorts {
  readonly datastore: Datastore;
  readonly clock: Clock;
  readonly addresses: AddressSource;
  readonly felix: EndpointProgrammer;
  readonly log: Logger;
  random(octets: number): Uint8Array;
  /** Deletions that wait to be carried out. */
  readonly deletions: {
    /** This container is being added: nothing of it is to be deleted any more. */
    forget(plugin: Plugin, attachment: Attachment): Promise<void>;
  };
  /** Whether somebody answers at this URL, and not with an error. */
  answers(url: string): Promise<boolean>;
}

export interface AddressSource {
  /** One address a family asked for, or exactly those of the configuration. All or none. */
  assign(call: AddCall, identity: EndpointIdentity): Promise<readonly IpAddr[]>;
  /** No address under the handle is success. */
  release(handle: string): Promise<void>;
  /** The pod has no address of a virtual machine any more, which may keep it: of any other pod nothing. */
  leave(call: PodCall, identity: EndpointIdentity): Promise<void>;
  /** Whether the pod has any address. */
  holds(call: PodCall, identity: EndpointIdentity): Promise<boolean>;
  /** Whoever has addresses of this network on this node. */
  holders(network: string): Promise<readonly AddressHolder[]>;
  /** Why `assign` would find no address; undefined when it would. */
  shortage(config: StatusCall["config"]): Promise<string | undefined>;
}

export interface AddressHolder {
  readonly containerId: string;
  readonly handle: string;
  readonly namespace: string;
  readonly addresses: readonly IpAddr[];
}

export interface EndpointProgrammer {
  offerEndpoint(endpoint: WorkloadEndpoint): void;
  withdrawEndpoint(key: ResourceKey<"WorkloadEndpoint">): void;
  /** Resolves when routes and policy of the endpoint are in the kernel. */
  endpointProgrammed(key: ResourceKey<"WorkloadEndpoint">, signal: AbortSignal): Promise<void>;
}
