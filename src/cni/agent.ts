import { hostVethMac } from "../api/names.ts";
import type { ResourceKey } from "../api/resource-key.ts";
import type { WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import { clusterInformationKey, isLocked } from "../datastore/cluster-lock.ts";
import { type Datastore, DatastoreError, isDatastoreError } from "../datastore/datastore.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { IpAddr } from "../lib/ip-addr.ts";
import { KeyedLock } from "../lib/keyed-lock.ts";
import type { Logger } from "../lib/log.ts";
import { localMac, type MacAddr } from "../lib/mac.ts";
import { hostPrefix } from "../lib/prefix.ts";
import { type ParsedCall, parseCall } from "./call.ts";
import { CniError, cniCodes, errorObject } from "./cni-error.ts";
import { type EndpointIdentity, endpointOf, handleOf, identityOf } from "./endpoint.ts";
import {
  addPodInterface,
  type PodInterface,
  type PodNetworkPorts,
  removeHostInterface,
  removePodInterface,
} from "./pod-network.ts";
import type { CniAnswer, CniCall } from "./protocol.ts";
import { renderResult } from "./result.ts";

export interface AgentConfig {
  readonly nodeName: string;
  /** MTU of pods when the configuration names none; 0: the kernel's default. Read at each ADD. */
  defaultMtu(): number;
  /** How long ADD waits for routes and policy to be in the kernel. */
  readonly programTimeoutMs: number;
}

/** What the agent asks of the parts beside it. */
export interface AgentPorts extends PodNetworkPorts {
  readonly datastore: Datastore;
  readonly clock: Clock;
  readonly addresses: AddressSource;
  readonly felix: EndpointProgrammer;
  readonly log: Logger;
  random(octets: number): Uint8Array;
}

export interface AddressSource {
  /** One address a family asked for, or exactly those of the configuration. All or none. */
  assign(call: ParsedCall, identity: EndpointIdentity): Promise<readonly IpAddr[]>;
  /** No address under the handle is success. */
  release(handle: string): Promise<void>;
}

export interface EndpointProgrammer {
  offerEndpoint(endpoint: WorkloadEndpoint): void;
  withdrawEndpoint(key: ResourceKey<"WorkloadEndpoint">): void;
  /** Resolves when routes and policy of the endpoint are in the kernel. */
  endpointProgrammed(key: ResourceKey<"WorkloadEndpoint">, signal: AbortSignal): Promise<void>;
}

/**
 * Carries out CNI calls (facts 6.2, 6.3, 6.8). Calls for one pod run one after the other. ADD answers
 * only when the pod's policy is in the kernel; an ADD that fails leaves nothing behind.
 */
export class CniAgent {
  readonly #config: AgentConfig;
  readonly #ports: AgentPorts;
  readonly #lock = new KeyedLock();

  constructor(config: AgentConfig, ports: AgentPorts) {
    this.#config = config;
    this.#ports = ports;
  }

  /** Never throws: a failure is an answer too. `netnsFd` stays the caller's to close. */
  async answer(call: CniCall, netnsFd: number | undefined): Promise<CniAnswer> {
    let cniVersion = "1.0.0";
    try {
      const parsed = parseCall(call);
      cniVersion = parsed.config.cniVersion;
      const identity = identityOf(parsed, parsed.config.nodeName ?? this.#config.nodeName);
      const key = `${identity.namespace}/${identity.workload}`;
      const result = await this.#lock.run(key, () => this.#run(parsed, identity, netnsFd));
      return { exitCode: 0, stdout: result === undefined ? "" : `${JSON.stringify(result)}\n` };
    } catch (error) {
      return {
        exitCode: 1,
        stdout: `${JSON.stringify(errorObject(asCniError(error), cniVersion))}\n`,
      };
    }
  }

  #run(
    call: ParsedCall,
    identity: EndpointIdentity,
    netnsFd: number | undefined,
  ): Promise<object | undefined> {
    if (call.command === "DEL") return this.#delete(call, identity, netnsFd);
    if (netnsFd === undefined) {
      throw new CniError(cniCodes.environment, "Cannot accept CNI_NETNS: it must name a namespace");
    }
    return call.command === "ADD"
      ? this.#add(call, identity, netnsFd)
      : this.#check(call, identity, netnsFd);
  }

  async #add(call: ParsedCall, identity: EndpointIdentity, netnsFd: number): Promise<object> {
    const { addresses: source, felix, hostKernel, log, random } = this.#ports;
    await this.#requireReady();
    for (const reason of call.config.qosProblems) {
      log.warn({ pod: call.pod, reason }, "An annotation is not taken as it is written");
    }
    const existing = await this.#endpoint(identity);
    const { addresses: asked, hwAddr } = call.config.annotations;
    const previous = existing?.spec.containerID;
    // A pod that was made anew asks for the address that its earlier sandbox has.
    if (previous === call.containerId || (previous !== undefined && asked !== undefined)) {
      await source.release(handleOf(call, previous));
    }
    // Routes must not lead to an interface of earlier times.
    const isNew =
      existing === undefined && (await hostKernel.links.get(identity.hostInterface)) === undefined;
    const addresses = await source.assign(call, identity);
    try {
      const mac = (hwAddr as MacAddr | undefined) ?? localMac(random(6));
      await this.#connect(call, identity, netnsFd, { addresses, mac, isNew });
      return renderResult({
        cniVersion: call.config.cniVersion,
        addresses,
        hostInterface: { name: identity.hostInterface, mac: hostVethMac },
        podInterface: { name: call.ifName, mac, netnsPath: call.netnsPath },
      });
    } catch (error) {
      // Of what was never stored nobody else will tell felix that it is no more.
      if (isNew) felix.withdrawEndpoint(endpointKey(identity));
      await this.#undo(call, identity).catch((cause: unknown) => {
        throw new CniError(
          cniCodes.internal,
          `${errorMessage(error)}; and cannot clean up after it`,
          errorMessage(cause),
        );
      });
      throw error;
    }
  }

  /**
   * Makes the interface, stores the endpoint and waits until it is in the kernel. Policy of a new pod
   * is written while its interface is made.
   */
  async #connect(
    call: ParsedCall,
    identity: EndpointIdentity,
    netnsFd: number,
    network: { readonly addresses: readonly IpAddr[]; readonly mac: MacAddr; isNew: boolean },
  ): Promise<void> {
    const { felix, clock } = this.#ports;
    const { addresses, mac, isNew } = network;
    const endpoint = endpointOf(call, identity, { addresses, mac });
    if (isNew) felix.offerEndpoint(endpoint);
    const wanted: PodInterface = {
      hostName: identity.hostInterface,
      podName: call.ifName,
      netnsFd,
      mtu: call.config.mtu === 0 ? this.#config.defaultMtu() : call.config.mtu,
      addresses,
      allowIpForwarding: call.config.allowIpForwarding,
      mac,
    };
    await addPodInterface(wanted, this.#ports);
    const stored = await this.#write(endpoint);
    if (!isNew) felix.offerEndpoint(stored);
    const patience = new AbortController();
    const cancel = clock.setTimer(this.#config.programTimeoutMs, () => patience.abort(tooSlow()));
    await felix.endpointProgrammed(endpointKey(identity), patience.signal).finally(cancel);
  }

  async #undo(call: ParsedCall, identity: EndpointIdentity): Promise<void> {
    await removeHostInterface(identity.hostInterface, this.#ports.hostKernel);
    await this.#forget(call, identity);
    await this.#ports.addresses.release(identity.handle);
  }

  async #delete(
    call: ParsedCall,
    identity: EndpointIdentity,
    netnsFd: number | undefined,
  ): Promise<undefined> {
    // Who reads the copy of a locked datastore would never learn of it.
    if (await isLocked(this.#ports.datastore)) throw notReady("the datastore is locked");
    const existing = await this.#endpoint(identity);
    const ours = existing !== undefined && existing.spec.containerID === call.containerId;
    if (netnsFd !== undefined) await removePodInterface(call.ifName, netnsFd, this.#ports);
    if (ours) {
      await removeHostInterface(existing.spec.interfaceName, this.#ports.hostKernel);
      await this.#forget(call, identity);
    }
    await this.#ports.addresses.release(identity.handle);
    if (ours) await this.#ports.addresses.release(identity.legacyHandle);
    return undefined;
  }

  /** Facts 6.9: interface, addresses, route and endpoint are what ADD left. */
  async #check(call: ParsedCall, identity: EndpointIdentity, netnsFd: number): Promise<undefined> {
    const wrong = (what: string, details = "") => new CniError(cniCodes.network, what, details);
    const endpoint = await this.#endpoint(identity);
    if (endpoint?.spec.containerID !== call.containerId) {
      throw wrong(`Cannot find the WorkloadEndpoint ${identity.wepName} of this container`);
    }
    const pod = this.#ports.openPodKernel(netnsFd);
    try {
      const link = await pod.links.get(call.ifName);
      if (link === undefined || !link.up)
        throw wrong(`Interface ${call.ifName} is missing or down`);
      const have = await pod.addresses.list({ ifindex: link.ifindex });
      const routes = await this.#ports.hostKernel.routes.list({ table: 254 });
      for (const network of endpoint.spec.ipNetworks ?? []) {
        if (!have.some(({ address }) => hostPrefix(address) === network)) {
          throw wrong(`Interface ${call.ifName} lacks the address ${network}`);
        }
        if (!routes.some(({ destination }) => destination === network)) {
          throw wrong(`The node has no route to ${network}`);
        }
      }
    } finally {
      pod.close();
    }
    return undefined;
  }

  async #requireReady(): Promise<void> {
    const { spec } = await this.#ports.datastore
      .get(clusterInformationKey)
      .catch((cause: unknown) => {
        throw notReady(errorMessage(cause), { cause });
      });
    if (spec.datastoreReady === true) return;
    throw notReady("ClusterInformation default: spec.datastoreReady is not true");
  }

  async #endpoint(identity: EndpointIdentity): Promise<WorkloadEndpoint | undefined> {
    return await this.#ports.datastore.get(endpointKey(identity)).catch((error: unknown) => {
      if (isDatastoreError(error, "not-found")) return undefined;
      throw error;
    });
  }

  /** Creates the endpoint, or replaces the one of an earlier sandbox of the pod. */
  async #write(endpoint: WorkloadEndpoint): Promise<WorkloadEndpoint> {
    const { datastore } = this.#ports;
    const { name, namespace = "" } = endpoint.metadata;
    for (let attempt = 1; ; attempt++) {
      try {
        const present = await datastore
          .get({ kind: "WorkloadEndpoint", name, namespace })
          .catch((error: unknown) => {
            if (isDatastoreError(error, "not-found")) return undefined;
            throw error;
          });
        if (present === undefined) return await datastore.create<"WorkloadEndpoint">(endpoint);
        const { resourceVersion = "" } = present.metadata;
        return await datastore.update<"WorkloadEndpoint">({
          ...endpoint,
          metadata: { ...present.metadata, ...endpoint.metadata, resourceVersion },
        });
      } catch (error) {
        const raced = ["conflict", "already-exists", "not-found"] as const;
        if (attempt >= maxWriteAttempts || !raced.some((code) => isDatastoreError(error, code))) {
          throw error;
        }
      }
    }
  }

  /** Deletes the endpoint if it is still this container's. */
  async #forget(call: ParsedCall, identity: EndpointIdentity): Promise<void> {
    const key = endpointKey(identity);
    for (let attempt = 1; ; attempt++) {
      const present = await this.#endpoint(identity);
      if (present !== undefined && present.spec.containerID !== call.containerId) return;
      try {
        if (present !== undefined) {
          await this.#ports.datastore.delete(key, present.metadata.resourceVersion);
        }
        this.#ports.felix.withdrawEndpoint(key);
        return;
      } catch (error) {
        const raced = isDatastoreError(error, "conflict") || isDatastoreError(error, "not-found");
        if (attempt >= maxWriteAttempts || !raced) throw error;
      }
    }
  }
}

const maxWriteAttempts = 5;

function endpointKey(identity: EndpointIdentity): ResourceKey<"WorkloadEndpoint"> {
  return { kind: "WorkloadEndpoint", name: identity.wepName, namespace: identity.namespace };
}

/** Kubelet tries again. */
function notReady(why: string, options: ErrorOptions = {}): CniError {
  const words = "Calico is currently not ready to process requests";
  return new CniError(cniCodes.tryAgain, words, why, options);
}

function tooSlow(): CniError {
  return new CniError(
    cniCodes.tryAgain,
    "Cannot finish ADD: the pod's routes and policy are not in the kernel yet",
    "see the log of `tortie felix`",
  );
}

function asCniError(error: unknown): CniError {
  if (error instanceof CniError) return error;
  if (error instanceof DatastoreError && error.code === "unavailable") {
    return new CniError(cniCodes.tryAgain, "Cannot reach the datastore", errorMessage(error), {
      cause: error,
    });
  }
  return new CniError(cniCodes.internal, errorMessage(error), "", { cause: error });
}
