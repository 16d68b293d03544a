import type { KernelRoute } from "../../kernel/kernel.ts";
import { mainTable, routeProtocol } from "../../kernel/ownership.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import { isHostPrefix, type Prefix, prefixFamily } from "../../lib/prefix.ts";
import type { PoolClass } from "../config/pool-classes.ts";
import type { SpeakerConfig } from "../config/speaker-config.ts";
import type { ResolvedNextHop } from "../rib/next-hop.ts";
import { PrefixList, packPrefixes } from "../rib/packed-prefix.ts";
import type { PackedPrefixes } from "../wire/message.ts";

/** What the RIB chose for one prefix. */
export type Choice =
  | { readonly kind: "local" }
  /** More than one next hop: spread packets over them. */
  | { readonly kind: "learned"; readonly nextHops: readonly ResolvedNextHop[] };

/** Which component has the kernel's route to a prefix, and why. */
export type FibVerdict =
  | "programmed"
  | "service-range"
  | "tunneled-pool"
  | "felix-owns-pool"
  | "host-block"
  /** Originated for others to hear: nothing of it is here. */
  | "announced-only"
  /** This speaker programs nothing. */
  | "not-installed";

/** True when a speaker with this configuration programs routes into the kernel. */
export function installs({ install = true }: Pick<SpeakerConfig, "install">): boolean {
  return install;
}

/**
 * Decides which routes of the Loc-RIB the kernel gets (facts 5.7). Protocol 12 is the speaker's own:
 * unencapsulated pools, and everything that lies in no pool.
 */
export class FibPolicy {
  readonly #pools: readonly { readonly list: PrefixList; readonly class: PoolClass }[];
  readonly #services: PrefixList;
  readonly #programsNoEncap: boolean;
  readonly #priority: SpeakerConfig["normalPriority"];
  readonly #announcedOnly: ReadonlySet<Prefix>;
  readonly #installs: boolean;
  readonly #table: number;

  constructor(config: SpeakerConfig) {
    this.#pools = config.pools.map((pool) => ({
      list: new PrefixList([pool.prefix]),
      class: pool.class,
    }));
    this.#services = new PrefixList(config.serviceRanges);
    this.#programsNoEncap = config.programsNoEncap;
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
    const verdict = this.#judge(at.prefixes, at.index);
    if (verdict !== "programmed") return verdict;
    if (choice.kind === "learned")
      return this.#unicast(prefix, at.prefixes.family, choice.nextHops);
    if (this.#announcedOnly.has(prefix)) return "announced-only";
    // A /32 blackhole would be in the way of the pod's own route (facts 4.15).
    return isHostPrefix(prefix) ? "host-block" : this.#blackhole(prefix, at.prefixes.family);
  }

  /** True when a route of an earlier run may stay until the RIB has converged. */
  mayKeep(route: KernelRoute): boolean {
    const packed = packPrefixes([route.destination], prefixFamily(route.destination));
    return route.kind === "unicast" && this.#judge(packed, 0) === "programmed";
  }

  /** True when felix programs the route's destination. */
  isHandedOver({ destination }: KernelRoute): boolean {
    const packed = packPrefixes([destination], prefixFamily(destination));
    const verdict = this.#judge(packed, 0);
    return verdict === "tunneled-pool" || verdict === "felix-owns-pool";
  }

  #judge(prefixes: PackedPrefixes, index: number): FibVerdict {
    if (!this.#installs) return "not-installed";
    if (this.#services.covers(prefixes, index)) return "service-range";
    const pool = this.#pools.find(({ list }) => list.covers(prefixes, index));
    if (pool === undefined || pool.class === "none") return "programmed";
    if (pool.class !== "noEncap") return "tunneled-pool";
    return this.#programsNoEncap ? "programmed" : "felix-owns-pool";
  }

  #unicast(prefix: Prefix, family: IpFamily, nextHops: readonly ResolvedNextHop[]): KernelRoute {
    const distinct = [
      ...new Map(nextHops.map((hop) => [`${hop.gateway} ${hop.ifindex}`, hop])).entries(),
    ]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, { gateway, ifindex }]) => ({ gateway, ifindex }));
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
