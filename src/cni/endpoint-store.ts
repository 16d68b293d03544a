import type { WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import { clusterInformationKey, isLocked } from "../datastore/cluster-lock.ts";
import { type Datastore, isDatastoreError } from "../datastore/datastore.ts";
import { errorMessage } from "../lib/errors.ts";
import { CniError, cniCodes } from "./cni-error.ts";
import { type EndpointName, endpointKey } from "./endpoint.ts";
import { networkProfile } from "./network-profile.ts";
import type { EndpointProgrammer } from "./ports.ts";

const maxWriteAttempts = 5;
const raced = ["conflict", "already-exists", "not-found"] as const;

/** WorkloadEndpoints of this node's pods in the datastore, where others write too. */
export class EndpointStore {
  readonly #datastore: Datastore;
  readonly #felix: Pick<EndpointProgrammer, "withdrawEndpoint">;

  constructor(datastore: Datastore, felix: Pick<EndpointProgrammer, "withdrawEndpoint">) {
    this.#datastore = datastore;
    this.#felix = felix;
  }

  async get(identity: EndpointName): Promise<WorkloadEndpoint | undefined> {
    return await this.#datastore.get(endpointKey(identity)).catch((error: unknown) => {
      if (isDatastoreError(error, "not-found")) return undefined;
      throw error;
    });
  }

  /** Creates the endpoint, or replaces the one of an earlier sandbox of the pod. */
  async write(identity: EndpointName, endpoint: WorkloadEndpoint): Promise<WorkloadEndpoint> {
    for (let attempt = 1; ; attempt++) {
      try {
        const present = await this.get(identity);
        if (present === undefined) {
          return await this.#datastore.create<"WorkloadEndpoint">(endpoint);
        }
        const { resourceVersion = "" } = present.metadata;
        return await this.#datastore.update<"WorkloadEndpoint">({
          ...endpoint,
          metadata: { ...present.metadata, ...endpoint.metadata, resourceVersion },
        });
      } catch (error) {
        const again = raced.some((code) => isDatastoreError(error, code));
        if (attempt >= maxWriteAttempts || !again) throw error;
      }
    }
  }

  /** Creates the network's profile; one that is there is somebody's, and stays. */
  async requireProfile(network: string): Promise<void> {
    try {
      await this.#datastore.create<"Profile">(networkProfile(network));
    } catch (error) {
      if (!isDatastoreError(error, "already-exists")) throw error;
    }
  }

  /** Deletes the endpoint if it is still this container's, and tells felix. */
  async forget(identity: EndpointName, containerId: string): Promise<void> {
    const key = endpointKey(identity);
    for (let attempt = 1; ; attempt++) {
      const present = await this.get(identity);
      if (present !== undefined && present.spec.containerID !== containerId) return;
      try {
        if (present !== undefined) {
          await this.#datastore.delete(key, present.metadata.resourceVersion);
        }
        this.#felix.withdrawEndpoint(key);
        return;
      } catch (error) {
        const again = isDatastoreError(error, "conflict") || isDatastoreError(error, "not-found");
        if (attempt >= maxWriteAttempts || !again) throw error;
      }
    }
  }

  /** @throws {CniError} when pods must not be added now. */
  async requireReady(): Promise<void> {
    const { spec } = await this.#datastore.get(clusterInformationKey).catch((cause: unknown) => {
      throw notReady(errorMessage(cause), { cause });
    });
    if (spec.datastoreReady === true) return;
    throw notReady("ClusterInformation default: spec.datastoreReady is not true");
  }

  /** @throws {CniError} when nothing may be deleted: who reads a copy would never learn of it. */
  async requireUnlocked(): Promise<void> {
    if (await isLocked(this.#datastore)) throw notReady("the datastore is locked");
  }
}

/** Kubelet tries again. */
function notReady(why: string, options: ErrorOptions = {}): CniError {
  const words = "Calico is currently not ready to process requests";
  return new CniError(cniCodes.tryAgain, words, why, options);
}
