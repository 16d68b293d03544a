import type { IpAddr, IpFamily } from "../lib/ip-addr.ts";
import type { MacAddr } from "../lib/mac.ts";
import type { Prefix } from "../lib/prefix.ts";
import type { Secret } from "../lib/secret.ts";

/**
 * The port to one Linux network namespace: what the rest of tortie may ask of it. `linux-kernel.ts`
 * is the real one. Batches are applied in order; one failure does not stop the others, each is
 * reported: a caller keeps what failed dirty.
 */
export interface Kernel {
  readonly routes: RouteTable;
  readonly links: Links;
  readonly addresses: Addresses;
  readonly neighbors: Neighbors;
  readonly fdb: ForwardingDatabase;
  readonly rules: RoutingRules;
  readonly traffic: TrafficControl;
  readonly wireguard: WireguardDevices;
  /**
   * Index of the link of this name; undefined when there is none. Waits for nobody: to ask for a link waits
   * for who changes any.
   */
  indexOf(name: string): number | undefined;
  /**
   * Sets links up, then adds routes and addresses (one that is there is fine), at once.
   *
   * @throws {NetlinkError} for the first that the kernel refuses.
   */
  configure(setup: InterfaceSetup): Promise<void>;
  /** Changes of links, addresses, routes and neighbors, until `signal` aborts. */
  monitor(onEvents: (events: readonly KernelEvent[]) => void, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** What a namespace's interfaces are to have, in this order. */
export interface InterfaceSetup {
  /** Indexes of links. */
  readonly up: readonly number[];
  readonly routes: readonly KernelRoute[];
  readonly addresses: readonly NewAddress[];
}

/** One failed entry of a batch. */
export interface KernelFailure<Entry> {
  readonly entry: Entry;
  /** Positive errno, as in errno.h. */
  readonly errno: number;
  /** The kernel's own words when it gave any. */
  readonly message: string;
}

export type RouteKind = "unicast" | "local" | "blackhole" | "unreachable" | "prohibit" | "throw";
export type RouteScope = "universe" | "site" | "link" | "host" | "nowhere";

/** The kernel indexes a route by (table, destination, priority). Main table is 254. */
export interface KernelRoute {
  readonly table: number;
  readonly destination: Prefix;
  readonly priority: number;
  readonly kind: RouteKind;
  readonly scope: RouteScope;
  /** Route protocol number: 2 kernel, 3 boot, 12 bird, 80 ours. */
  readonly protocol: number;
  readonly gateway?: IpAddr;
  readonly ifindex?: number;
  readonly onlink?: boolean;
  readonly source?: IpAddr;
  readonly mtu?: number;
  /** Of a route into a tunnel device without ends: those of its packets (`ip route ... encap ip6`). */
  readonly encap?: { readonly destination: IpAddr; readonly source: IpAddr };
  /** Several next hops (ECMP). Then `gateway` and `ifindex` are absent. */
  readonly nextHops?: readonly {
    readonly gateway?: IpAddr;
    readonly ifindex: number;
    readonly onlink?: boolean;
    readonly weight?: number;
  }[];
}

export interface RouteTable {
  list(filter?: {
    readonly family?: IpFamily;
    readonly table?: number;
    readonly protocol?: number;
  }): Promise<KernelRoute[]>;
  /** Adds, or replaces what has the same key (NLM_F_CREATE | NLM_F_REPLACE). */
  replace(routes: readonly KernelRoute[]): Promise<KernelFailure<KernelRoute>[]>;
  /** Deletes by key and protocol. A route that is gone already is no failure. */
  remove(routes: readonly KernelRoute[]): Promise<KernelFailure<KernelRoute>[]>;
  /** What the kernel would do with a packet to `destination` (ip route get). */
  lookup(destination: IpAddr): Promise<KernelRoute | undefined>;
}

export interface KernelLink {
  readonly ifindex: number;
  readonly name: string;
  /** "veth", "vxlan", "ipip", "bridge", ... ; absent for physical links. */
  readonly type?: string;
  readonly up: boolean;
  /** Oper state says that packets can flow. */
  readonly running: boolean;
  readonly mtu: number;
  readonly mac?: MacAddr;
  /** ifindex of the other end or the parent. */
  readonly linkIfindex?: number;
  readonly vxlan?: VxlanLink;
  /** Address that a sit device sends from. */
  readonly sitLocal?: IpAddr;
}

export interface VxlanLink {
  readonly vni: number;
  readonly port: number;
  readonly local?: IpAddr;
  readonly parentIfindex?: number;
  readonly learning: boolean;
}

export interface VethPair {
  readonly name: string;
  readonly mac?: MacAddr;
  readonly mtu?: number;
  /** Of each end, in each direction. Default 1. */
  readonly queues?: number;
  readonly peer: {
    readonly name: string;
    readonly mac?: MacAddr;
    readonly mtu?: number;
    /** Descriptor of the namespace in which the peer is born. */
    readonly netnsFd?: number;
  };
}

export interface Links {
  list(): Promise<KernelLink[]>;
  get(nameOrIndex: string | number): Promise<KernelLink | undefined>;
  /** Creates a pair: the named end here and up, the peer in its namespace and down. */
  addVeth(pair: VethPair): Promise<void>;
  addVxlan(
    link: VxlanLink & { readonly name: string; readonly mac: MacAddr; readonly mtu: number },
  ): Promise<void>;
  /** An IPIP tunnel without fixed ends. One of this name that loading the module has made is no error. */
  addIpip(name: string): Promise<void>;
  /** An ip6tnl device for IPv6 in IPv6 alone, without ends: each route names them (`encap`). It is down. */
  addIp6Tunnel(name: string, mtu: number): Promise<void>;
  /** A sit device, for IPv6 in IPv4 alone, from `local` to any: each route's gateway is one, as ::a.b.c.d. It is down. */
  addSit(name: string, link: { readonly local: IpAddr; readonly mtu: number }): Promise<void>;
  /** An Ethernet device whose frames a process copies. It stays while none does. */
  addTap(name: string): Promise<void>;
  addBridge(name: string): Promise<void>;
  /** It is down, and has no key. */
  addWireguard(name: string, mtu: number): Promise<void>;
  /** An intermediate functional block: what is redirected to it is sent through its queue. It is up. */
  addIfb(name: string, mtu: number): Promise<void>;
  /** Only the given attributes change. */
  set(
    ifindex: number,
    change: {
      readonly up?: boolean;
      readonly mtu?: number;
      readonly mac?: MacAddr;
      readonly master?: number;
      readonly netnsFd?: number;
      readonly name?: string;
    },
  ): Promise<void>;
  /** Whether checksums of what leaves by it are left to the link, or to who is below it. */
  offloadsChecksum(name: string): Promise<boolean>;
  setChecksumOffload(name: string, on: boolean): Promise<void>;
  /** A link that is gone already is no error. Does not block the event loop while the kernel waits. */
  remove(ifindex: number): Promise<void>;
}

export interface KernelAddress {
  readonly ifindex: number;
  readonly address: IpAddr;
  readonly length: number;
  readonly scope: RouteScope;
  /** An IPv6 address for privacy, which another takes the place of in a day or so (RFC 8981). */
  readonly temporary?: true;
}

export interface NewAddress extends Omit<KernelAddress, "scope"> {
  readonly scope?: RouteScope;
  /** IPv6: without duplicate address detection. */
  readonly noDad?: boolean;
}

export interface AddressFilter {
  readonly ifindex?: number;
  readonly family?: IpFamily;
}

export interface Addresses {
  /** None for an interface that is not there. */
  list(filter?: AddressFilter): Promise<KernelAddress[]>;
  /** An address that is there already is no error. */
  add(address: NewAddress): Promise<void>;
  remove(address: Omit<KernelAddress, "scope">): Promise<void>;
}

export interface KernelNeighbor {
  readonly ifindex: number;
  readonly address: IpAddr;
  readonly mac?: MacAddr;
  readonly state: "permanent" | "other";
}

export interface Neighbors {
  list(filter?: {
    readonly ifindex?: number;
    readonly family?: IpFamily;
  }): Promise<KernelNeighbor[]>;
  /** Adds or replaces as permanent. */
  replace(neighbors: readonly KernelNeighbor[]): Promise<KernelFailure<KernelNeighbor>[]>;
  remove(neighbors: readonly KernelNeighbor[]): Promise<KernelFailure<KernelNeighbor>[]>;
}

/** One entry of a VXLAN device's forwarding database: which host has this MAC (bridge fdb ... self). */
export interface FdbEntry {
  readonly ifindex: number;
  readonly mac: MacAddr;
  readonly destination: IpAddr;
}

export interface ForwardingDatabase {
  list(ifindex: number): Promise<FdbEntry[]>;
  replace(entries: readonly FdbEntry[]): Promise<KernelFailure<FdbEntry>[]>;
  remove(entries: readonly FdbEntry[]): Promise<KernelFailure<FdbEntry>[]>;
}

export interface RoutingRule {
  readonly family: IpFamily;
  readonly priority: number;
  readonly table: number;
  readonly mark?: number;
  readonly mask?: number;
  readonly invert?: boolean;
}

export interface RoutingRules {
  list(family: IpFamily): Promise<RoutingRule[]>;
  add(rule: RoutingRule): Promise<void>;
  remove(rule: RoutingRule): Promise<void>;
}

/** A token bucket filter, in the kernel's units (tc-tbf(8)). */
export interface TokenBucket {
  /** Octets a second. */
  readonly rate: number;
  /** Octets that may wait. */
  readonly limit: number;
  /** Time in which the bucket fills, in ticks of 64 ns. */
  readonly buffer: number;
  /** Octets a second, and octets. */
  readonly peak?: { readonly rate: number; readonly minburst: number };
}

/** Links are given by their ifindex. */
export interface TrafficControl {
  /** Token bucket filters at the root of links; links with an ingress qdisc, and where it redirects to. */
  list(): Promise<{
    readonly limits: ReadonlyMap<number, TokenBucket>;
    readonly redirects: ReadonlyMap<number, number | undefined>;
  }>;
  /** Puts the token bucket filter at the root of a link, in place of what is there. */
  limit(ifindex: number, bucket: TokenBucket): Promise<void>;
  /** What comes in by a link is sent out by another. What was there at its ingress goes. */
  redirect(ifindex: number, toIfindex: number): Promise<void>;
  /** One that is gone already is no error. */
  remove(ifindex: number, place: "root" | "ingress"): Promise<void>;
}

/** Keys are 32 octets as base64, like wg(8) shows them. */
export interface WireguardPeer {
  readonly publicKey: string;
  readonly presharedKey?: Secret;
  readonly endpoint?: { readonly address: IpAddr; readonly port: number };
  /** 0: none. */
  readonly keepaliveSeconds: number;
  /** What it may send from, and what is sent to it. An address belongs to one peer. */
  readonly allowed: readonly Prefix[];
  /** Told by the kernel: seconds since 1970 of the last handshake, and octets. */
  readonly lastHandshake?: number;
  readonly receivedBytes?: number;
  readonly sentBytes?: number;
}

export interface WireguardDevice {
  readonly ifindex: number;
  /** Absent while it has no private key. */
  readonly publicKey?: string;
  readonly listenPort: number;
  /** Of the packets that it sends; 0: none. */
  readonly mark: number;
  readonly peers: readonly WireguardPeer[];
}

/** Devices are given by their ifindex. A private key never leaves the kernel by this port. */
export interface WireguardDevices {
  get(ifindex: number): Promise<WireguardDevice | undefined>;
  set(
    ifindex: number,
    change: Partial<Pick<WireguardDevice, "listenPort" | "mark">>,
  ): Promise<void>;
  /** Gives the device a new private key, that nobody knows. */
  renewKey(ifindex: number): Promise<void>;
  /** Adds peers, or replaces all of those that are there. */
  setPeers(
    ifindex: number,
    peers: readonly WireguardPeer[],
  ): Promise<KernelFailure<WireguardPeer>[]>;
  /** One that is gone already is no failure. */
  removePeers(
    ifindex: number,
    peers: readonly WireguardPeer[],
  ): Promise<KernelFailure<WireguardPeer>[]>;
}

export type KernelEvent =
  | { readonly kind: "link"; readonly op: "set" | "removed"; readonly link: KernelLink }
  | { readonly kind: "address"; readonly op: "set" | "removed"; readonly address: KernelAddress }
  | { readonly kind: "route"; readonly op: "set" | "removed"; readonly route: KernelRoute }
  | { readonly kind: "neighbor"; readonly op: "set" | "removed"; readonly neighbor: KernelNeighbor }
  | { readonly kind: "fdb"; readonly op: "set" | "removed"; readonly entry: FdbEntry }
  /** Events were lost (ENOBUFS): list everything again. */
  | { readonly kind: "lost" };
