import type { KernelRoute } from "../../kernel/kernel.ts";
import { mainTable, routeProtocol } from "../../kernel/ownership.ts";
import { addressBits, type IpAddr, ipFamily } from "../../lib/ip-addr.ts";
import { type Prefix, prefixLength, prefixOf } from "../../lib/prefix.ts";

/** How the kernel reaches a next hop. */
export interface ResolvedNextHop {
  /** What a route through it is programmed with: the next hop itself when directly connected. */
  readonly gateway: IpAddr;
  readonly ifindex: number;
  /** 0 directly connected, 1 through another router. */
  readonly igpCost: number;
}

/** What resolution is made of: the namespace's routes and its own addresses. */
export interface NextHopSource {
  readonly routes: readonly KernelRoute[];
  readonly ownAddresses: readonly IpAddr[];
  /** Name of each interface, for filters that ask for it. */
  readonly interfaceNames?: ReadonlyMap<number, string>;
  /** The IPIP device, while it is up. */
  readonly tunnelIfindex?: number;
}

/**
 * Resolves next hops through the kernel's routes (RFC 4271 section 5.1.3, BIRD's "gateway
 * recursive"). Routes that we programmed ourselves do not count, so no route resolves through itself.
 */
export class NextHops {
  /** What it was made of, to be written down. */
  readonly source: NextHopSource;
  readonly #own: ReadonlySet<IpAddr>;
  readonly #interfaceNames: ReadonlyMap<number, string>;
  /** Best route of each destination, and the lengths that occur, longest first. */
  readonly #routes = new Map<Prefix, KernelRoute>();
  readonly #lengths: Readonly<Record<4 | 6, readonly number[]>>;
  readonly #resolved = new Map<IpAddr, ResolvedNextHop | undefined>();

  constructor(source: NextHopSource) {
    const { routes, ownAddresses, interfaceNames = new Map() } = source;
    this.source = source;
    this.#own = new Set(ownAddresses);
    this.#interfaceNames = interfaceNames;
    const lengths = { 4: new Set<number>(), 6: new Set<number>() };
    for (const route of routes) {
      if (route.table !== mainTable || route.protocol === routeProtocol.bird) continue;
      const known = this.#routes.get(route.destination);
      if (known !== undefined && known.priority <= route.priority) continue;
      this.#routes.set(route.destination, route);
      lengths[route.destination.includes(":") ? 6 : 4].add(prefixLength(route.destination));
    }
    const longestFirst = (set: ReadonlySet<number>) => [...set].sort((a, b) => b - a);
    this.#lengths = { 4: longestFirst(lengths[4]), 6: longestFirst(lengths[6]) };
  }

  /** The device that takes packets to next hops of IPIP pools, while it is up. */
  get tunnelIfindex(): number | undefined {
    return this.source.tunnelIfindex;
  }

  /** True for an address of this node: a route with such a next hop is never used. */
  isOwn(address: IpAddr): boolean {
    return this.#own.has(address);
  }

  resolve(nextHop: IpAddr): ResolvedNextHop | undefined {
    if (!this.#resolved.has(nextHop)) this.#resolved.set(nextHop, this.#lookup(nextHop));
    return this.#resolved.get(nextHop);
  }

  /** Name of the interface through which a next hop is reached. */
  interfaceOf(nextHop: IpAddr): string | undefined {
    return this.#interfaceNames.get(this.resolve(nextHop)?.ifindex ?? 0);
  }

  /** True when `next` has the same tunnel, and resolves all that was asked for here in the same way. */
  agreesWith(next: NextHops): boolean {
    if (this.tunnelIfindex !== next.tunnelIfindex) return false;
    for (const [nextHop, before] of this.#resolved) {
      const after = next.resolve(nextHop);
      if (
        this.isOwn(nextHop) !== next.isOwn(nextHop) ||
        before?.gateway !== after?.gateway ||
        before?.ifindex !== after?.ifindex ||
        before?.igpCost !== after?.igpCost
      )
        return false;
    }
    return true;
  }

  #lookup(nextHop: IpAddr): ResolvedNextHop | undefined {
    const family = ipFamily(nextHop);
    for (const length of this.#lengths[family]) {
      if (length > addressBits[family]) continue;
      const route = this.#routes.get(prefixOf(nextHop, length));
      if (route === undefined) continue;
      if (route.kind !== "unicast") return undefined;
      const hop = route.nextHops?.[0] ?? route;
      if (hop.ifindex === undefined) return undefined;
      return hop.gateway === undefined
        ? { gateway: nextHop, ifindex: hop.ifindex, igpCost: 0 }
        : { gateway: hop.gateway, ifindex: hop.ifindex, igpCost: 1 };
    }
    return undefined;
  }
}
