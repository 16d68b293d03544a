import type { Kind, ResourceOfKind } from "../../api/resource-of-kind.ts";
import type { Update } from "../../datastore/syncer.ts";
import type { BgpResources } from "../config/bgp-resources.ts";

/** Kinds that the speaker always follows. */
export const bgpKinds = [
  "Node",
  "IPPool",
  "BGPConfiguration",
  "BGPPeer",
  "BGPFilter",
  "BlockAffinity",
  "FelixConfiguration",
] as const;

/** Kinds with many objects, which it follows when the configuration asks for them. */
export const workloadKinds = ["WorkloadEndpoint"] as const;

export const serviceKinds = ["Service", "EndpointSlice"] as const;

const allKinds = [...bgpKinds, ...workloadKinds, ...serviceKinds] as const;

type BgpKind = (typeof allKinds)[number];

type Cache = { readonly [K in BgpKind]: Map<string, ResourceOfKind[K]> };

/** The last that the datastore said of each object, as the configuration is computed from it. */
export class ResourceCache {
  readonly #nodeName: string;
  readonly #cache: Cache = {
    Node: new Map(),
    IPPool: new Map(),
    BGPConfiguration: new Map(),
    BGPPeer: new Map(),
    BGPFilter: new Map(),
    BlockAffinity: new Map(),
    FelixConfiguration: new Map(),
    WorkloadEndpoint: new Map(),
    Service: new Map(),
    EndpointSlice: new Map(),
  };

  readonly resources: BgpResources = {
    nodes: this.#cache.Node,
    pools: this.#cache.IPPool,
    configurations: this.#cache.BGPConfiguration,
    peers: this.#cache.BGPPeer,
    filters: this.#cache.BGPFilter,
    affinities: this.#cache.BlockAffinity,
    felixConfigurations: this.#cache.FelixConfiguration,
    workloads: this.#cache.WorkloadEndpoint,
    services: this.#cache.Service,
    endpointSlices: this.#cache.EndpointSlice,
  };

  constructor(nodeName: string) {
    this.#nodeName = nodeName;
  }

  apply({ key, value }: Update): void {
    if (!isBgpKind(key.kind)) return;
    const objects = this.#cache[key.kind] as Map<string, ResourceOfKind[Kind]>;
    const name = key.namespace === undefined ? key.name : `${key.namespace}/${key.name}`;
    if (value === null || this.#isElsewhere(value)) objects.delete(name);
    else objects.set(name, value);
  }

  /** Pods of other nodes are many, and none of our business. */
  #isElsewhere(resource: ResourceOfKind[Kind]): boolean {
    return resource.kind === "WorkloadEndpoint" && resource.spec.node !== this.#nodeName;
  }
}

function isBgpKind(kind: Kind): kind is BgpKind {
  return (allKinds as readonly Kind[]).includes(kind);
}
