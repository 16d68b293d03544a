import { poolEncapsulation } from "../../api/pool-encapsulation.ts";
import type { IPPool } from "../../api/resources/ip-pool.ts";
import type { IPAMBlock } from "../../api/resources/ipam.ts";
import type { Node } from "../../api/resources/node.ts";
import type { WorkloadEndpoint } from "../../api/resources/workload-endpoint.ts";
import { compareText, getOrCreate } from "../../lib/collections.ts";
import { type IpAddr, type IpFamily, isIpAddr, parseIpAddr } from "../../lib/ip-addr.ts";
import {
  hostPrefix,
  type InterfaceAddress,
  nthAddress,
  type Prefix,
  parseInterfaceAddress,
  parsePrefix,
  prefixAddress,
  prefixContains,
  prefixFamily,
  prefixHasAddress,
  prefixLength,
  prefixOf,
} from "../../lib/prefix.ts";
import type { Slice } from "../../lib/time-slice.ts";
import type { ActivePool, ClusterRoute, HostAddresses, PoolClass, RouteType } from "./updates.ts";

/**
 * What each CIDR of the cluster is: whose block, whose address, in which pool, reached how
 * (facts 4.15). One entry a CIDR; a CIDR's answer folds the entries of all CIDRs that contain it.
 */

type RefKind = "workload" | "tunnel";

interface Entry {
  /** By key of the pool: two pools of one CIDR are a mistake that must not depend on order. */
  readonly pools: Map<string, ActivePool>;
  /** Node that has affinity for the block, by key of the block. */
  readonly blockNodes: Map<string, string>;
  /** Nodes whose own address this is. */
  readonly hosts: Set<string>;
  /** "node/kind" to how many say so. */
  readonly refs: Map<string, { readonly node: string; readonly kind: RefKind; count: number }>;
}

interface Contribution {
  readonly says: string | undefined;
  readonly undo: readonly (() => void)[];
}

/** What says where addresses are: the blocks of IPAM, or each endpoint for itself (facts 4.9). */
export type RouteSource = "CalicoIPAM" | "WorkloadIPs";

export class L3Routes {
  readonly #nodeName: string;
  readonly #source: RouteSource;
  readonly #onRoute: (destination: Prefix, route: ClusterRoute | null) => void;
  readonly #entries = new Map<Prefix, Entry>();
  readonly #dirty = new Set<Prefix>();
  readonly #nodes = new Map<string, HostAddresses>();
  /** CIDRs whose entries name a node, and how often: a change of the node concerns only them. */
  readonly #cidrsOfNode = new Map<string, Map<Prefix, number>>();
  /** What each source object put in, so that its next version can take it out, if it says something else. */
  readonly #contributions = new Map<string, Contribution>();

  constructor(
    nodeName: string,
    onRoute: (destination: Prefix, route: ClusterRoute | null) => void,
    source: RouteSource = "CalicoIPAM",
  ) {
    this.#nodeName = nodeName;
    this.#onRoute = onRoute;
    this.#source = source;
  }

  get nodeCount(): number {
    return this.#nodes.size;
  }

  setPool(key: string, pool: IPPool | null): void {
    this.#replace(key, undefined, () => {
      if (pool === null) return [];
      const active = activePool(pool);
      this.#entry(active.cidr).pools.set(key, active);
      this.#dirtyInside(active.cidr);
      return [
        () => {
          this.#entry(active.cidr).pools.delete(key);
          this.#dirtyInside(active.cidr);
        },
      ];
    });
  }

  setBlock(key: string, block: IPAMBlock | null): void {
    if (this.#source === "WorkloadIPs") return;
    const isThere = block !== null && block.spec.deleted !== true;
    const node = block?.spec.affinity?.startsWith("host:")
      ? block.spec.affinity.slice("host:".length)
      : undefined;
    const cidr = isThere ? parsePrefix(block.spec.cidr) : undefined;
    const borrowed = cidr === undefined || block === null ? [] : [...borrowers(block, cidr, node)];
    // Most changes are of what the node itself has in its block: its route stays as it is.
    this.#replace(key, [cidr, node, ...borrowed.flat()].join(" "), () => {
      if (cidr === undefined) return [];
      const undo: (() => void)[] = [];
      if (node !== undefined) {
        this.#entry(cidr).blockNodes.set(key, node);
        const unname = this.#name(node, cidr);
        undo.push(() => {
          this.#entry(cidr).blockNodes.delete(key);
          unname();
        });
      }
      for (const [address, owner] of borrowed) {
        undo.push(this.#addRef(hostPrefix(address), owner, "workload"));
      }
      return undo;
    });
  }

  setEndpoint(key: string, endpoint: WorkloadEndpoint | null): void {
    const isLocal = endpoint?.spec.node === this.#nodeName;
    const tells = endpoint !== null && (isLocal || this.#source !== "CalicoIPAM");
    const networks = tells ? (endpoint.spec.ipNetworks ?? []) : [];
    this.#replace(key, [endpoint?.spec.node, ...networks].join(" "), () => {
      if (endpoint === null) return [];
      return networks.map((text) => {
        const { address, length } = parseInterfaceAddress(text);
        return this.#addRef(prefixOf(address, length), endpoint.spec.node, "workload");
      });
    });
  }

  setNode(name: string, node: Node | null): void {
    const before = this.#nodes.get(name);
    const after = node === null ? undefined : hostAddresses(node);
    if (after === undefined) this.#nodes.delete(name);
    else this.#nodes.set(name, after);
    if (JSON.stringify(before) !== JSON.stringify(after)) this.#dirtyOfNode(name);
    this.#replace(`node ${name}`, undefined, () => {
      if (node === null) return [];
      const undo = ownAddresses(node, after).map((address) => {
        const cidr = hostPrefix(address);
        this.#entry(cidr).hosts.add(name);
        const unname = this.#name(name, cidr);
        return () => {
          this.#entry(cidr).hosts.delete(name);
          unname();
        };
      });
      for (const address of tunnelAddresses(node)) {
        undo.push(this.#addRef(hostPrefix(address), name, "tunnel"));
      }
      return undo;
    });
  }

  /** Tells routes that may be others now. @returns whether all were told. */
  work(slice: Slice): boolean {
    for (const cidr of this.#dirty) {
      this.#dirty.delete(cidr);
      const entry = this.#entries.get(cidr);
      if (entry === undefined || isEmpty(entry)) {
        this.#entries.delete(cidr);
        this.#onRoute(cidr, null);
      } else this.#onRoute(cidr, this.#routeOf(cidr));
      if (slice.isOver) return false;
    }
    return true;
  }

  #routeOf(cidr: Prefix): ClusterRoute {
    const fold = new Fold(cidr, this.#nodeName);
    for (const [at, entry] of this.#path(cidr)) fold.add(at, entry);
    const { node } = fold;
    const family = prefixFamily(cidr);
    const nodeAddress =
      node === undefined ? undefined : addressOfNode(this.#nodes.get(node), family);
    const mine = addressOfNode(this.#nodes.get(this.#nodeName), family);
    const mySubnet = mine === undefined ? undefined : prefixOf(mine.address, mine.length);
    return {
      destination: cidr,
      types: fold.types,
      poolClass: fold.poolClass,
      ...(node === undefined ? {} : { node }),
      ...(nodeAddress === undefined ? {} : { nodeAddress: nodeAddress.address }),
      sameSubnet:
        fold.crossSubnet &&
        mySubnet !== undefined &&
        nodeAddress !== undefined &&
        prefixHasAddress(mySubnet, nodeAddress.address),
      natOutgoing: fold.natOutgoing,
      localWorkload: fold.localWorkload,
      borrowed: fold.borrowed,
    };
  }

  /** Entries that contain the CIDR, the widest first. */
  #path(cidr: Prefix): [Prefix, Entry][] {
    const path: [Prefix, Entry][] = [];
    for (let length = 0; length <= prefixLength(cidr); length++) {
      if (!this.#lengths.has(length)) continue;
      const at = prefixOf(prefixAddress(cidr), length);
      const entry = this.#entries.get(at);
      if (entry !== undefined) path.push([at, entry]);
    }
    return path;
  }

  /** Prefix lengths that ever occurred: few, and the others need no look. */
  readonly #lengths = new Set<number>();

  #entry(cidr: Prefix): Entry {
    this.#lengths.add(prefixLength(cidr));
    return getOrCreate(this.#entries, cidr, () => ({
      pools: new Map(),
      blockNodes: new Map(),
      hosts: new Set(),
      refs: new Map(),
    }));
  }

  #addRef(cidr: Prefix, node: string, kind: RefKind): () => void {
    const key = `${node}/${kind}`;
    const ref = getOrCreate(this.#entry(cidr).refs, key, () => ({ node, kind, count: 0 }));
    ref.count++;
    const unname = this.#name(node, cidr);
    return () => {
      if (--ref.count === 0) this.#entry(cidr).refs.delete(key);
      unname();
    };
  }

  /** Notes that the CIDR's entry names the node, until the result is called. */
  #name(node: string, cidr: Prefix): () => void {
    const cidrs = getOrCreate(this.#cidrsOfNode, node, () => new Map<Prefix, number>());
    cidrs.set(cidr, (cidrs.get(cidr) ?? 0) + 1);
    this.#dirty.add(cidr);
    return () => {
      const left = (cidrs.get(cidr) ?? 1) - 1;
      if (left > 0) cidrs.set(cidr, left);
      else cidrs.delete(cidr);
      if (cidrs.size === 0 && this.#cidrsOfNode.get(node) === cidrs) this.#cidrsOfNode.delete(node);
      this.#dirty.add(cidr);
    };
  }

  /** `says`: contributions that say the same are the same; undefined: never. */
  #replace(key: string, says: string | undefined, contribute: () => readonly (() => void)[]): void {
    const before = this.#contributions.get(key);
    if (before !== undefined && says !== undefined && before.says === says) return;
    for (const step of before?.undo ?? []) step();
    const undo = contribute();
    if (undo.length === 0) this.#contributions.delete(key);
    else this.#contributions.set(key, { says, undo });
  }

  #dirtyInside(outer: Prefix): void {
    for (const cidr of this.#entries.keys()) if (prefixContains(outer, cidr)) this.#dirty.add(cidr);
  }

  /** Our own address decides what is the same subnet: then every route is in question. */
  #dirtyOfNode(name: string): void {
    const cidrs = name === this.#nodeName ? this.#entries : this.#cidrsOfNode.get(name);
    for (const cidr of cidrs?.keys() ?? []) this.#dirty.add(cidr);
  }
}

/** Folds the entries on the way to one CIDR (facts 4.15, steps 1 to 5). */
class Fold {
  readonly #cidr: Prefix;
  readonly #me: string;
  readonly types = new Set<RouteType>();
  poolClass: PoolClass = "none";
  crossSubnet = false;
  natOutgoing = false;
  localWorkload = false;
  borrowed = false;
  node: string | undefined;
  #blockNode: string | undefined;

  constructor(cidr: Prefix, me: string) {
    this.#cidr = cidr;
    this.#me = me;
  }

  add(at: Prefix, { pools, blockNodes, hosts, refs }: Entry): void {
    const pool = firstByKey(pools);
    const blockNode = firstByKey(blockNodes);
    if (pool !== undefined) {
      if (pool.poolClass !== "none") this.poolClass = pool.poolClass;
      this.natOutgoing ||= pool.natOutgoing;
      this.crossSubnet ||= pool.crossSubnet;
    }
    if (blockNode !== undefined) {
      if (this.#blockNode !== undefined && this.#blockNode !== blockNode) this.borrowed = true;
      this.#blockNode = blockNode;
      this.node = blockNode;
    }
    const [host] = [...hosts].sort(compareText);
    if (host !== undefined) this.#addHost(host);
    const sorted = [...refs.values()].sort(
      (a, b) => compareText(a.node, b.node) || compareText(b.kind, a.kind),
    );
    this.#addRefs(sorted);
    // A host's or a tunnel's own address inside a block is no workload (facts 4.15 step 5).
    if (blockNode !== undefined && host === undefined && at === this.#cidr) {
      this.types.add(blockNode === this.#me ? "localWorkload" : "remoteWorkload");
    }
  }

  #addHost(host: string): void {
    this.node = host;
    this.types.add(host === this.#me ? "localHost" : "remoteHost");
  }

  #addRefs(refs: readonly { readonly node: string; readonly kind: RefKind }[]): void {
    const [first] = refs;
    if (first === undefined) return;
    this.node = first.node;
    if (this.#blockNode !== undefined && this.#blockNode !== first.node) this.borrowed = true;
    const local = first.node === this.#me;
    if (first.kind === "workload") {
      this.types.add(local ? "localWorkload" : "remoteWorkload");
      this.localWorkload = local;
    }
    if (refs.some(({ kind }) => kind === "tunnel")) {
      this.types.add(local ? "localTunnel" : "remoteTunnel");
    }
  }
}

export function activePool(pool: IPPool): ActivePool {
  const { class: poolClass, crossSubnet } = poolEncapsulation(pool);
  return {
    cidr: parsePrefix(pool.spec.cidr),
    natOutgoing: pool.spec.natOutgoing === true,
    poolClass,
    crossSubnet,
  };
}

/** Facts 4.15: the BGP addresses, else the first InternalIP, else the first ExternalIP. */
export function hostAddresses({ spec }: Node): HostAddresses {
  const v4 = spec.bgp?.ipv4Address || firstAddress(spec, 4);
  const v6 = spec.bgp?.ipv6Address || firstAddress(spec, 6);
  const ipip = spec.bgp?.ipv4IPIPTunnelAddr;
  const tunnels = {
    ...parsedAt(4, spec.ipv4VXLANTunnelAddr),
    ...parsedAt(6, spec.ipv6VXLANTunnelAddr),
  };
  return {
    ...(v4 === undefined ? {} : { v4: parseInterfaceAddress(v4) }),
    ...(v6 === undefined ? {} : { v6: parseInterfaceAddress(v6) }),
    ...(ipip && isIpAddr(ipip) ? { ipipTunnelAddress: parseIpAddr(ipip) } : {}),
    ...(Object.keys(tunnels).length === 0 ? {} : { tunnelAddresses: tunnels }),
  };
}

function parsedAt(family: IpFamily, text: string | undefined): Partial<Record<IpFamily, IpAddr>> {
  return text !== undefined && isIpAddr(text) ? { [family]: parseIpAddr(text) } : {};
}

/** Of the UDP tunnel's own packets: IPv4 where the node has it. */
export function outerFamily(node: Node): IpFamily {
  const { v4, v6 } = hostAddresses(node);
  return v4 === undefined && v6 !== undefined ? 6 : 4;
}

function firstAddress({ addresses = [] }: Node["spec"], family: IpFamily): string | undefined {
  // Kubernetes lists host names there too.
  const ofFamily = addresses.filter(
    ({ address }) =>
      isIpAddr(address.split("/")[0] ?? "") && address.includes(":") === (family === 6),
  );
  const first = (wanted: string) => ofFamily.find(({ type }) => type === wanted)?.address;
  return first("InternalIP") ?? first("ExternalIP");
}

export function ownAddresses({ spec }: Node, hosts: HostAddresses | undefined): IpAddr[] {
  const listed = (spec.addresses ?? [])
    .map(({ address }) => address.split("/")[0] ?? "")
    .filter(isIpAddr)
    .map(parseIpAddr);
  const own = [hosts?.v4?.address, hosts?.v6?.address].filter((address) => address !== undefined);
  return [...new Set([...own, ...listed])];
}

function tunnelAddresses({ spec }: Node): IpAddr[] {
  return [
    spec.bgp?.ipv4IPIPTunnelAddr,
    spec.ipv4VXLANTunnelAddr,
    spec.ipv6VXLANTunnelAddr,
    spec.wireguard?.interfaceIPv4Address,
    spec.wireguard?.interfaceIPv6Address,
  ]
    .filter((text) => text !== undefined && isIpAddr(text))
    .map((text) => parseIpAddr(text ?? ""));
}

function addressOfNode(
  addresses: HostAddresses | undefined,
  family: IpFamily,
): InterfaceAddress | undefined {
  return family === 4 ? addresses?.v4 : addresses?.v6;
}

/** Addresses of a block that another node than its own uses, by the `node` attribute. */
export function* borrowers(
  { spec }: IPAMBlock,
  cidr: Prefix,
  owner: string | undefined,
): Generator<[IpAddr, string]> {
  for (const [ordinal, index] of spec.allocations.entries()) {
    const attribute = index === null ? undefined : spec.attributes[index];
    const node = attribute?.releasedAt === undefined ? attribute?.secondary?.["node"] : undefined;
    if (node !== undefined && node !== owner) yield [nthAddress(cidr, ordinal), node];
  }
}

function isEmpty({ pools, blockNodes, hosts, refs }: Entry): boolean {
  return pools.size === 0 && blockNodes.size === 0 && hosts.size === 0 && refs.size === 0;
}

function firstByKey<Value>(values: ReadonlyMap<string, Value>): Value | undefined {
  if (values.size <= 1) return values.values().next().value;
  return values.get([...values.keys()].sort(compareText)[0] ?? "");
}
