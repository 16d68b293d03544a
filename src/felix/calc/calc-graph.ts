import { keyText, type ResourceKey } from "../../api/resource-key.ts";
import type { Kind, ResourceOfKind } from "../../api/resource-of-kind.ts";
import type { BGPConfiguration } from "../../api/resources/bgp.ts";
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
import { activePool, hostAddresses, L3Routes, type RouteSource } from "./l3-routes.ts";
import { PolicyGraph, type PolicyGraphSizes } from "./policy-graph.ts";
import { serviceCidrs } from "./service-cidrs.ts";
import type { DataplaneUpdate } from "./updates.ts";
import { vtepOf } from "./vteps.ts";
import { wireguardEndpointOf } from "./wireguard-endpoints.ts";

/** Kinds that the graph computes from. */
export const calcKinds: readonly Kind[] = [
  "BGPConfiguration",
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
 *  Node ──────────────┼─────────────────► vtep, wireguard, host, pool, ────────────┘
 *  BGPConfiguration ──┘                   serviceCidrs
 * ```
 *
 * A value may come again, come late, or go and come back: only the last one counts. Nothing is told
 * before the datastore was in sync, and nothing that is half calculated. `flush` is all at once; who
 * must not hold up the event loop calls `begin`, `work` as often as it wants, and `tell`.
 */
export class CalcGraph {
  readonly #sequencer = new EventSequencer();
  /** What the datastore said since `begin`, by key. */
  #waiting = new Map<string, Update>();
  /** What it had said until then, and nobody looked at yet. */
  #begun = new Map<string, Update>();
  readonly #policies: PolicyGraph;
  readonly #routes: L3Routes;
  readonly #onInvalid: (key: ResourceKey, error: unknown) => void;
  #inSync = false;

  /** `onInvalid` hears of each malformed object, once for each time that it comes and is looked at. */
  constructor(config: {
    readonly nodeName: string;
    readonly routeSource?: RouteSource;
    readonly onInvalid?: (key: ResourceKey, error: unknown) => void;
  }) {
    this.#onInvalid = config.onInvalid ?? (() => undefined);
    this.#policies = new PolicyGraph(config.nodeName, (update) => this.#sequencer.offer(update));
    this.#routes = new L3Routes(
      config.nodeName,
      (id, route) => this.#offer("route", id, route ?? undefined),
      config.routeSource,
    );
  }

  /** How much there is, for who watches. Walks over the endpoints. */
  sizes(): PolicyGraphSizes & { readonly hosts: number } {
    return { ...this.#policies.sizes(), hosts: this.#routes.nodeCount };
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
      case "BGPConfiguration":
        if (key.name === "default") this.#updateServices(value as BGPConfiguration | null);
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

  /** What came until now is what will be told next; what comes later waits, however fast it comes. */
  begin(): void {
    if (this.#begun.size === 0) [this.#begun, this.#waiting] = [this.#waiting, this.#begun];
    for (const [id, update] of this.#waiting) this.#begun.set(id, update);
    this.#waiting.clear();
  }

  /** Does part of what was begun. @returns whether `tell` has little left to do. */
  work(slice: Slice): boolean {
    if (!this.#inSync) return true;
    for (const [id, update] of this.#begun) {
      this.#begun.delete(id);
      this.#take(id, update);
      if (slice.isOver) return false;
    }
    return this.#policies.work(slice) && this.#routes.work(slice);
  }

  /**
   * Updates since the last time, in the order in which a dataplane may take them: of all that was
   * begun, calculated to the end.
   */
  tell(): DataplaneUpdate[] {
    if (!this.#inSync) return [];
    this.work(unlimited);
    this.#policies.flush();
    return this.#sequencer.flush();
  }

  /** What is to be told of all that came. */
  flush(): DataplaneUpdate[] {
    this.begin();
    return this.tell();
  }

  #updateServices(configuration: BGPConfiguration | null): void {
    const cidrs = configuration === null ? [] : serviceCidrs(configuration);
    this.#offer("serviceCidrs", "default", cidrs.length === 0 ? undefined : cidrs);
  }

  #updatePool(id: string, pool: IPPool | null): void {
    this.#routes.setPool(id, pool);
    this.#offer("pool", id, pool === null ? undefined : activePool(pool));
  }

  #updateNode(name: string, node: Node | null): void {
    this.#routes.setNode(name, node);
    this.#offer("host", name, node === null ? undefined : hostAddresses(node));
    this.#offer("vtep", name, node === null ? undefined : vtepOf(node));
    this.#offer("wireguard", name, node === null ? undefined : wireguardEndpointOf(node));
  }

  #offer<K extends "route" | "vtep" | "wireguard" | "host" | "pool" | "serviceCidrs">(
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
