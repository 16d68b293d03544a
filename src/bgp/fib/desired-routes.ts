import type { KernelRoute } from "../../kernel/kernel.ts";
import { mainTable, routeProtocol } from "../../kernel/ownership.ts";
import { type IpAddr, type IpFamily, ipFamily } from "../../lib/ip-addr.ts";
import { isHostPrefix, type Prefix, prefixHasAddress } from "../../lib/prefix.ts";
import type { BgpPool } from "../config/pool-classes.ts";
import type { SpeakerConfig } from "../config/speaker-config.ts";
import type { ResolvedNextHop } from "../rib/next-hop.ts";
import { PrefixList, packPrefixes } from "../rib/packed-prefix.ts";
import type { PackedPrefixes } from "../wire/message.ts";

/** What the RIB chose for one prefix. */
export type Choice =
  | { readonly kind: "local" }
  /** More than one next hop: spread packets over them. */
  | {
      readonly kind: "learned";
      readonly nextHops: readonly LearnedNextHop[];
      /** The IPIP device, while it is up. */
      readonly tunnelIfindex?: number | undefined;
    };

export interface LearnedNextHop extends ResolvedNextHop {
  /** As told by the peer. */
  readonly nextHop: IpAddr;
}

/** Which component has the kernel's route to a prefix, and why. */
export type FibVerdict =
  | "programmed"
  | "service-range"
  | "tunneled-pool"
  | "felix-owns-pool"
  /** The IPIP device is not there, or leads to no next hop: it takes IPv4 alone. */
  | "no-tunnel"
  | "host-block"
  /** Originated for others to hear: nothing of it is here. */
  | "announced-only"
  /** This speaker programs nothing. */
  | "not-installed";

/** True when a speaker with this configuration programs routes into the kernel. */
export function installs({ install = true }: Pick<SpeakerConfig, "install">): boolean {
  return install;
}

type Hop = Pick<KernelRoute, "onlink"> & Pick<ResolvedNextHop, "gateway" | "ifindex">;

/** True when felix programs the route from now on: it may take a while until it is there. */
export function isFelixs(verdict: string): boolean {
  return verdict === "felix-owns-pool" || verdict === "tunneled-pool";
}

/**
 * Decides which routes of the Loc-RIB the kernel gets (facts 5.7). Protocol 12 is the speaker's own:
 * the pools of the classes that it programs, and everything that lies in no pool. To IPIP pools packets
 * go through the tunnel to the next hop, with CrossSubnet only where that is in no network of ours.
 */
export class FibPolicy {
  readonly #pools: readonly { readonly list: PrefixList; readonly pool: BgpPool }[];
  readonly #services: PrefixList;
  readonly #programs: SpeakerConfig["programs"];
  readonly #ownNetworks: readonly Prefix[];
  readonly #priority: SpeakerConfig["normalPriority"];
  readonly #announcedOnly: ReadonlySet<Prefix>;
  readonly #installs: boolean;
  readonly #table: number;

  constructor(config: SpeakerConfig) {
    this.#pools = config.pools.map((pool) => ({
      list: new PrefixList([pool.prefix]),
      pool,
    }));
    this.#services = new PrefixList(config.serviceRanges);
    this.#programs = config.programs;
    this.#ownNetworks = config.ownNetworks ?? [];
    this.#priority = config.normalPriority;
    const { originatedRoutes = [] } = config;
    this.#announcedOnly = new Set(originatedRoutes.map(({ prefix }) => prefix));
    this.#installs = installs(config);
    this.#table = config.table ?? mainTable;
  }

  /** The route of prefix `index`, or the reason why the kernel does not get one from us. */
  routeTo(
    prefix: Prefix,
    at: { readonly prefixes: PackedPrefixes; readonly index: number },
    choice: Choice,
  ): KernelRoute | Exclude<FibVerdict, "programmed"> {
    const pool = this.#poolOf(at.prefixes, at.index);
    const verdict = this.#judge(pool, at.prefixes, at.index);
    if (verdict !== "programmed") return verdict;
    if (choice.kind === "learned") return this.#learned(prefix, at.prefixes.family, pool, choice);
    if (this.#announcedOnly.has(prefix)) return "announced-only";
    // A /32 blackhole would be in the way of the pod's own route (facts 4.15).
    return isHostPrefix(prefix) ? "host-block" : this.#blackhole(prefix, at.prefixes.family);
  }

  /** True when a route of an earlier run may stay until the RIB has converged. */
  mayKeep(route: KernelRoute): boolean {
    return route.kind === "unicast" && this.#verdictOf(route) === "programmed";
  }

  /** True for a route of an earlier run in whose place felix puts one. */
  isHandedOver(route: KernelRoute): boolean {
    return route.kind === "unicast" && isFelixs(this.#verdictOf(route));
  }

  #verdictOf({ destination }: KernelRoute): FibVerdict {
    const family: IpFamily = destination.includes(":") ? 6 : 4;
    const prefixes = packPrefixes([destination], family);
    return this.#judge(this.#poolOf(prefixes, 0), prefixes, 0);
  }

  #poolOf(prefixes: PackedPrefixes, index: number): BgpPool | undefined {
    return this.#pools.find(({ list }) => list.covers(prefixes, index))?.pool;
  }

  #judge(pool: BgpPool | undefined, prefixes: PackedPrefixes, index: number): FibVerdict {
    if (!this.#installs) return "not-installed";
    if (this.#services.covers(prefixes, index)) return "service-range";
    if (pool === undefined || pool.class === "none") return "programmed";
    if (pool.class !== "ipip" && pool.class !== "noEncap") return "tunneled-pool";
    return this.#programs.includes(pool.class) ? "programmed" : "felix-owns-pool";
  }

  #learned(
    prefix: Prefix,
    family: IpFamily,
    pool: BgpPool | undefined,
    { nextHops, tunnelIfindex }: Extract<Choice, { readonly kind: "learned" }>,
  ): KernelRoute | "no-tunnel" {
    const hops: Hop[] = [];
    for (const { nextHop, gateway, ifindex } of nextHops) {
      if (pool?.class !== "ipip" || this.#isDirect(pool, nextHop)) {
        hops.push({ gateway, ifindex });
      } else if (tunnelIfindex !== undefined && ipFamily(nextHop) === 4) {
        hops.push({ gateway: nextHop, ifindex: tunnelIfindex, onlink: true });
      }
    }
    return hops.length === 0 ? "no-tunnel" : this.#unicast(prefix, family, hops);
  }

  /** My mask decides, not the other's (facts 4.9). A node that knows no network of its own tunnels all. */
  #isDirect({ crossSubnet }: BgpPool, nextHop: IpAddr): boolean {
    return crossSubnet && this.#ownNetworks.some((network) => prefixHasAddress(network, nextHop));
  }

  #unicast(prefix: Prefix, family: IpFamily, hops: readonly Hop[]): KernelRoute {
    const distinct = [...new Map(hops.map((hop) => [`${hop.gateway} ${hop.ifindex}`, hop]))]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, hop]) => hop);
    const route = { ...this.#route(prefix, family), kind: "unicast" as const };
    const [only, second] = distinct;
    return only !== undefined && second === undefined
      ? { ...route, ...only }
      : { ...route, nextHops: distinct };
  }

  #blackhole(prefix: Prefix, family: IpFamily): KernelRoute {
    return { ...this.#route(prefix, family), kind: "blackhole" };
  }

  #route(destination: Prefix, family: IpFamily): Omit<KernelRoute, "kind"> {
    return {
      table: this.#table,
      destination,
      priority: this.#priority[family],
      scope: "universe",
      protocol: routeProtocol.bird,
    };
  }
}
