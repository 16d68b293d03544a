import type { Kind, ResourceOfKind } from "../../api/resource-of-kind.ts";
import type { Update } from "../../datastore/syncer.ts";
import type { BgpResources } from "../config/bgp-resources.ts";

type BgpKind =
  | "Node"
  | "IPPool"
  | "BGPConfiguration"
  | "BGPPeer"
  | "BlockAffinity"
  | "FelixConfiguration";

/** Kinds that the speaker follows. */
export const bgpKinds: readonly BgpKind[] = [
  "Node",
  "IPPool",
  "BGPConfiguration",
  "BGPPeer",
  "BlockAffinity",
  "FelixConfiguration",
];

type Cache = { readonly [K in BgpKind]: Map<string, ResourceOfKind[K]> };

/** The last that the datastore said of each object, as the configuration is computed from it. */
export class ResourceCache {
  readonly #cache: Cache = {
    Node: new Map(),
    IPPool: new Map(),
    BGPConfiguration: new Map(),
    BGPPeer: new Map(),
    BlockAffinity: new Map(),
    FelixConfiguration: new Map(),
  };

  readonly resources: BgpResources = {
    nodes: this.#cache.Node,
    pools: this.#cache.IPPool,
    configurations: this.#cache.BGPConfiguration,
    peers: this.#cache.BGPPeer,
    affinities: this.#cache.BlockAffinity,
    felixConfigurations: this.#cache.FelixConfiguration,
  };

  apply({ key, value }: Update): void {
    if (!isBgpKind(key.kind)) return;
    const objects = this.#cache[key.kind] as Map<string, ResourceOfKind[Kind]>;
    if (value === null) objects.delete(key.name);
    else objects.set(key.name, value);
  }
}

function isBgpKind(kind: Kind): kind is BgpKind {
  return (bgpKinds as readonly Kind[]).includes(kind);
}
