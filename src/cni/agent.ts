import { DatastoreError } from "../datastore/datastore.ts";
import { errorMessage } from "../lib/errors.ts";
import { KeyedLock } from "../lib/keyed-lock.ts";
import { addAddresses, addPod } from "./add-pod.ts";
import {
  type AddCall,
  type DeleteCall,
  type ParsedCall,
  type PodCall,
  parseCall,
  type StatusCall,
} from "./call.ts";
import { checkPod } from "./check-pod.ts";
import { CniError, cniCodes, errorObject } from "./cni-error.ts";
import { collectGarbage } from "./collect.ts";
import { deletePod } from "./delete-pod.ts";
import { type EndpointIdentity, identityOf } from "./endpoint.ts";
import { EndpointStore } from "./endpoint-store.ts";
import type { NetworkConfig } from "./network-config.ts";
import type { AgentConfig, AgentPorts } from "./ports.ts";
import type { CniAnswer, CniCall } from "./protocol.ts";
import { waitForGates } from "./readiness.ts";

/** Carries out CNI calls (facts 6). Calls for one pod run one after the other. */
export class CniAgent {
  readonly #config: AgentConfig;
  readonly #ports: AgentPorts;
  readonly #store: EndpointStore;
  readonly #lock = new KeyedLock();
  /** Containers that are being added. */
  readonly #adding = new Map<string, number>();

  constructor(config: AgentConfig, ports: AgentPorts) {
    this.#config = config;
    this.#ports = ports;
    this.#store = new EndpointStore(ports.datastore, ports.felix);
  }

  /** Never throws: a failure is an answer too. `netnsFd` stays the caller's to close. */
  async answer(call: CniCall, netnsFd: number | undefined): Promise<CniAnswer> {
    let cniVersion = "1.0.0";
    try {
      const parsed = parseCall(call);
      cniVersion = parsed.config.cniVersion;
      const result = await this.#run(parsed, netnsFd);
      return { exitCode: 0, stdout: result === undefined ? "" : `${JSON.stringify(result)}\n` };
    } catch (error) {
      return {
        exitCode: 1,
        stdout: `${JSON.stringify(errorObject(asCniError(error), cniVersion))}\n`,
      };
    }
  }

  #run(call: ParsedCall, netnsFd: number | undefined): Promise<object | undefined> {
    switch (call.command) {
      case "ADD":
        return this.#add(call, netnsFd);
      case "CHECK":
        return this.#check(call, netnsFd);
      case "DEL":
        return this.#delete(call, netnsFd);
      case "GC":
        return this.#collect(call);
      case "STATUS":
        return this.#status(call);
    }
  }

  async #add(call: AddCall, netnsFd: number | undefined): Promise<object> {
    this.#requireNode(call.config);
    const context = { config: this.#config, ports: this.#ports, store: this.#store };
    await this.#ports.deletions.forget(call.plugin, call);
    const { containerId } = call;
    this.#adding.set(containerId, (this.#adding.get(containerId) ?? 0) + 1);
    try {
      if (call.plugin === "calico-ipam") {
        return await this.#forPod(call, (identity) => addAddresses(call, identity, context));
      }
      requireNetns(netnsFd);
      await waitForGates(call.config.readinessGates, this.#ports);
      return await this.#forPod(call, (identity) => addPod(call, { identity, netnsFd }, context));
    } finally {
      const others = (this.#adding.get(containerId) ?? 1) - 1;
      if (others > 0) this.#adding.set(containerId, others);
      else this.#adding.delete(containerId);
    }
  }

  #check(call: AddCall, netnsFd: number | undefined): Promise<undefined> {
    this.#requireNode(call.config);
    return this.#forPod(call, async (identity) => {
      if (call.plugin === "calico") {
        requireNetns(netnsFd);
        const endpoint = await this.#store.get(identity);
        await checkPod(call, { identity, netnsFd, endpoint }, this.#ports);
      } else if (!(await this.#ports.addresses.holds(call, identity))) {
        const what = `Cannot find an address of container ${call.containerId}`;
        throw new CniError(cniCodes.ipam, what, `IPAM does not know the handle ${identity.handle}`);
      }
      return undefined;
    });
  }

  #delete(call: DeleteCall, netnsFd: number | undefined): Promise<undefined> {
    return this.#forPod(call, async (identity) => {
      const context = { store: this.#store, ports: this.#ports };
      const given = netnsFd === undefined ? {} : { netnsFd };
      await deletePod(call, { identity, ...given }, context);
      return undefined;
    });
  }

  async #collect(call: ParsedCall & { command: "GC" }): Promise<undefined> {
    const { nodeName } = this.#config;
    await collectGarbage(call, (containerId) => this.#adding.has(containerId), {
      nodeName,
      store: this.#store,
      ports: this.#ports,
      inTurn: (pod, work) => this.#inTurn(pod, work),
    });
    return undefined;
  }

  /** Facts 6.9: whether an ADD would succeed. */
  async #status({ config }: StatusCall): Promise<undefined> {
    try {
      this.#requireNode(config);
      await this.#store.requireReady();
      const shortage = await this.#ports.addresses.shortage(config);
      if (shortage !== undefined) throw new CniError(cniCodes.ipam, "No address is free", shortage);
      return undefined;
    } catch (cause) {
      const { message, details } = asCniError(cause);
      throw new CniError(cniCodes.unavailable, `Cannot add pods: ${message}`, details, { cause });
    }
  }

  /** What felix of another node would have to do would never be done. */
  #requireNode(config: NetworkConfig): void {
    const { nodeName } = this.#config;
    if (config.nodeName === undefined) return;
    if (config.nodeName.toLowerCase() === nodeName.toLowerCase()) return;
    throw new CniError(
      cniCodes.invalidConfig,
      `Cannot accept the network configuration: nodename must be that of this node, "${nodeName}"`,
      `got "${config.nodeName}"`,
    );
  }

  #forPod<Result>(
    call: PodCall,
    work: (identity: EndpointIdentity) => Promise<Result>,
  ): Promise<Result> {
    const identity = identityOf(call, this.#config.nodeName);
    return this.#inTurn(identity, () => work(identity));
  }

  #inTurn<Result>(
    { namespace, workload }: Pick<EndpointIdentity, "namespace" | "workload">,
    work: () => Promise<Result>,
  ): Promise<Result> {
    return this.#lock.run(`${namespace}/${workload}`, work);
  }
}

function requireNetns(netnsFd: number | undefined): asserts netnsFd is number {
  if (netnsFd !== undefined) return;
  throw new CniError(cniCodes.environment, "Cannot accept CNI_NETNS: it must name a namespace");
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
