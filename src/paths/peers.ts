import { pathKeyAnnotation } from "../api/path-checks.ts";
import type { Node } from "../api/resources/node.ts";
import type { Update } from "../datastore/syncer.ts";
import { type IpAddr, type IpFamily, isIpAddr, parseIpAddr } from "../lib/ip-addr.ts";
import {
  type InterfaceAddress,
  parseInterfaceAddress,
  prefixHasAddress,
  prefixOf,
} from "../lib/prefix.ts";

/** What path checks know of a node. */
export interface PathPeer {
  readonly name: string;
  readonly publicKey?: string;
  readonly addresses: Readonly<Partial<Record<IpFamily, InterfaceAddress>>>;
  readonly tunnels: readonly TunnelAddress[];
}

/** Tunnel addresses are compared by their kind: both nodes must have one. */
export interface TunnelAddress {
  readonly kind: "ipip" | "vxlan" | "vxlanV6" | "wireguard" | "wireguardV6";
  readonly address: IpAddr;
}

export function pathPeer({ metadata, spec }: Node): PathPeer {
  const publicKey = metadata.annotations?.[pathKeyAnnotation];
  const v4 = interfaceAddress(spec.bgp?.ipv4Address);
  const v6 = interfaceAddress(spec.bgp?.ipv6Address);
  const tunnels = {
    ipip: spec.bgp?.ipv4IPIPTunnelAddr,
    vxlan: spec.ipv4VXLANTunnelAddr,
    vxlanV6: spec.ipv6VXLANTunnelAddr,
    wireguard: spec.wireguard?.interfaceIPv4Address,
    wireguardV6: spec.wireguard?.interfaceIPv6Address,
  } as const;
  return {
    name: metadata.name,
    ...(publicKey === undefined ? {} : { publicKey }),
    addresses: { ...(v4 && { 4: v4 }), ...(v6 && { 6: v6 }) },
    tunnels: (Object.keys(tunnels) as (keyof typeof tunnels)[]).flatMap((kind) => {
      const text = tunnels[kind] ?? "";
      return isIpAddr(text) ? [{ kind, address: parseIpAddr(text) }] : [];
    }),
  };
}

/** What cannot be read counts as absent: then the node is not probed by it. */
function interfaceAddress(text: string | undefined): InterfaceAddress | undefined {
  try {
    return text === undefined ? undefined : parseInterfaceAddress(text);
  } catch {
    return undefined;
  }
}

/** All addresses that a node may probe from, and is probed at. */
export function addressesOf({ addresses, tunnels }: PathPeer): IpAddr[] {
  const own = Object.values(addresses).map(({ address }) => address);
  return [...new Set([...own, ...tunnels.map(({ address }) => address)])];
}

/** Facts 4.15: it is my mask that counts. */
export function isSameSubnet(own: PathPeer, peer: PathPeer): boolean {
  return ([4, 6] as const).some((family) => {
    const [mine, theirs] = [own.addresses[family], peer.addresses[family]];
    if (mine === undefined || theirs === undefined) return false;
    return prefixHasAddress(prefixOf(mine.address, mine.length), theirs.address);
  });
}

/** The cluster's nodes, as a syncer tells of them. */
export class PeerBook {
  readonly #self: string;
  readonly #peers = new Map<string, PathPeer>();
  /** How many nodes have each address: one may move from one to another. */
  readonly #addresses = new Map<IpAddr, number>();

  constructor(self: string) {
    this.#self = self;
  }

  get own(): PathPeer | undefined {
    return this.#peers.get(this.#self);
  }

  /** All nodes but this one. */
  get others(): PathPeer[] {
    return [...this.#peers.values()].filter(({ name }) => name !== this.#self);
  }

  other(name: string): PathPeer | undefined {
    return name === this.#self ? undefined : this.#peers.get(name);
  }

  /** @returns whether anything of this node changed. */
  learn(updates: readonly Update[]): boolean {
    let isOwn = false;
    for (const { key, value } of updates) {
      if (key.kind !== "Node") continue;
      isOwn ||= key.name === this.#self;
      this.#replace(key.name, value?.kind === "Node" ? pathPeer(value) : undefined);
    }
    return isOwn;
  }

  /** An address of some node's: all others are strangers. */
  hasAddress(address: IpAddr): boolean {
    return this.#addresses.has(address);
  }

  #replace(name: string, next: PathPeer | undefined): void {
    const before = this.#peers.get(name);
    for (const address of before === undefined ? [] : addressesOf(before)) {
      const users = (this.#addresses.get(address) ?? 0) - 1;
      if (users > 0) this.#addresses.set(address, users);
      else this.#addresses.delete(address);
    }
    this.#peers.delete(name);
    if (next === undefined) return;
    this.#peers.set(name, next);
    for (const address of addressesOf(next)) {
      this.#addresses.set(address, (this.#addresses.get(address) ?? 0) + 1);
    }
  }
}
