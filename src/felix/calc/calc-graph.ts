import { keyText, type ResourceKey } from "../../api/resource-key.ts";
import type { Kind, ResourceOfKind } from "../../api/resource-of-kind.ts";
import type { HostEndpoint } from "../../api/resources/host-endpoint.ts";
import type { IPPool } from "../../api/resources/ip-pool.ts";
import type { IPAMBlock } from "../../api/resources/ipam.ts";
import type { EndpointSlice } from "../../api/resources/kubernetes.ts";
import type { GlobalNetworkSet, NetworkSet } from "../../api/resources/network-set.ts";
import type { Node } from "../../api/resources/node.ts";
import type {
  GlobalNetworkPolicy,
  NetworkPolicy,
  Profile,
  Tier,
} from "../../api/resources/policy.ts";
import type { WorkloadEndpoint } from "../../api/resources/workload-endpoint.ts";
import { type Slice, unlimited } from "../../lib/time-slice.ts";
import { checkObject } from "./check-object.ts";
import { EventSequencer } from "./event-sequencer.ts";
import { activePool, hostAddresses, L3Routes } from "./l3-routes.ts";
import { PolicyGraph } from "./policy-graph.ts";
import type { DataplaneUpdate } from "./updates.ts";
import { vtepOf } from "./vteps.ts";

/** Kinds that the graph computes from. */
export const calcKinds: readonly Kind[] = [
  "EndpointSlice",
  "GlobalNetworkPolicy",
  "GlobalNetworkSet",
  "HostEndpoint",
  "IPAMBlock",
  "IPPool",
  "NetworkPolicy",
  "NetworkSet",
  "Node",
  "Profile",
  "Tier",
  "WorkloadEndpoint",
];

interface Update {
  readonly key: ResourceKey;
  readonly value: ResourceOfKind[Kind] | null;
}

/**
 * From what the datastore says to what this node's dataplane must be.
 *
 * ```
 *  WorkloadEndpoint ─┬─► PolicyGraph ──► ipSet, policy, profile, workloadEndpoint, ─┐
 *  HostEndpoint ─────┤                   hostEndpoint                              │
 *  policies, tiers ──┤                                                             │
 *  network sets ─────┤                                                             │
 *  EndpointSlice ────┤                                                             │
 *  profiles ─────────┘                                                             ├─► EventSequencer ─► dataplane
 *  IPPool, IPAMBlock ─┬─► L3Routes ────► route                                     │
 *  Node ──────────────┴─────────────────► vtep, host, pool ────────────────────────┘
 * ```
 *
 * A value may come again, come late, or go and come back: only the last one counts. `flush` gives
 * nothing before the datastore was in sync, and nothing that is half calculated: `work` does in slices
 * what is long, `flush` what is then left, and only `flush` tells.
 */
export class CalcGraph {
  readonly #sequencer = new EventSequencer();
  /** What the datastore said and nobody looked at yet, by key. */
  readonly #waiting = new Map<string, Update>();
  readonly #policies: PolicyGraph;
  readonly #routes: L3Routes;
  readonly #onInvalid: (key: ResourceKey, error: unknown) => void;
  #inSync = false;

  /** `onInvalid` hears of each malformed object, once for each time that it comes and is looked at. */
  constructor(config: {
    readonly nodeName: string;
    readonly onInvalid?: (key: ResourceKey, error: unknown) => void;
  }) {
    this.#onInvalid = config.onInvalid ?? (() => undefined);
    this.#policies = new PolicyGraph(config.nodeName, (update) => this.#sequencer.offer(update));
    this.#routes = new L3Routes(config.nodeName, (id, route) =>
      this.#offer("route", id, route ?? undefined),
    );
  }

  /** Everything was listed once: what comes out from now on is the whole truth. */
  setInSync(): void {
    this.#inSync = true;
  }

  /**
   * What the datastore says of one object. Kinds that concern nobody here are passed over. A malformed
   * object counts as absent, also when a good version of it was there before.
   */
  update(key: ResourceKey, value: ResourceOfKind[Kind] | null): void {
    this.#waiting.set(keyText(key), { key, value });
  }

  #take(id: string, { key, value }: Update): void {
    try {
      checkObject(value);
    } catch (error) {
      this.#replace(id, key, null);
      this.#onInvalid(key, error);
      return;
    }
    this.#replace(id, key, value);
  }

  #replace(id: string, key: ResourceKey, value: ResourceOfKind[Kind] | null): void {
    switch (key.kind) {
      case "WorkloadEndpoint": {
        const endpoint = value as WorkloadEndpoint | null;
        this.#policies.setEndpoint(endpointId(key), endpoint);
        this.#routes.setEndpoint(id, endpoint);
        return;
      }
      case "NetworkPolicy":
      case "GlobalNetworkPolicy":
        this.#policies.setPolicy(id, value as NetworkPolicy | GlobalNetworkPolicy | null);
        return;
      case "HostEndpoint":
        this.#policies.setHostEndpoint(key.name, value as HostEndpoint | null);
        return;
      case "NetworkSet":
      case "GlobalNetworkSet":
        this.#policies.setNetworkSet(id, value as NetworkSet | GlobalNetworkSet | null);
        return;
      case "EndpointSlice":
        this.#policies.setEndpointSlice(id, value as EndpointSlice | null);
        return;
      case "Profile":
        this.#policies.setProfile(key.name, value as Profile | null);
        return;
      case "Tier":
        this.#policies.setTier(key.name, value as Tier | null);
        return;
      case "IPPool":
        this.#updatePool(id, value as IPPool | null);
        return;
      case "IPAMBlock":
        this.#routes.setBlock(id, value as IPAMBlock | null);
        return;
      case "Node":
        this.#updateNode(key.name, value as Node | null);
        return;
      default:
    }
  }

  /**
   * Does part of the next flush's work, so that no turn of the event loop is long. Updates may come
   * between two calls.
   *
   * @returns whether `flush` has little left to do.
   */
  work(slice: Slice): boolean {
    if (!this.#inSync) return true;
    for (const [id, update] of this.#waiting) {
      this.#waiting.delete(id);
      this.#take(id, update);
      if (slice.isOver) return false;
    }
    return this.#policies.work(slice) && this.#routes.work(slice);
  }

  /** Updates since the last flush, in the order in which a dataplane may take them. */
  flush(): DataplaneUpdate[] {
    if (!this.#inSync) return [];
    this.work(unlimited);
    this.#policies.flush();
    return this.#sequencer.flush();
  }

  #updatePool(id: string, pool: IPPool | null): void {
    this.#routes.setPool(id, pool);
    this.#offer("pool", id, pool === null ? undefined : activePool(pool));
  }

  #updateNode(name: string, node: Node | null): void {
    this.#routes.setNode(name, node);
    this.#offer("host", name, node === null ? undefined : hostAddresses(node));
    this.#offer("vtep", name, node === null ? undefined : vtepOf(node));
  }

  #offer<K extends "route" | "vtep" | "host" | "pool">(
    kind: K,
    id: string,
    value: Extract<DataplaneUpdate, { op: "set"; kind: K }>["value"] | undefined,
  ): void {
    this.#sequencer.offer(
      value === undefined
        ? { op: "remove", kind, id }
        : ({ op: "set", kind, id, value } as DataplaneUpdate),
    );
  }
}

/** `id` of a LocalEndpoint: "<namespace>/<name>". */
export function endpointId(key: ResourceKey): string {
  return `${key.namespace ?? ""}/${key.name}`;
}
