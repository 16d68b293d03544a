import type { KernelRoute } from "../../kernel/kernel.ts";
import { mainTable, routeProtocol } from "../../kernel/ownership.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import { isHostPrefix, type Prefix } from "../../lib/prefix.ts";
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
  | "host-block";

/**
 * Decides which routes of the Loc-RIB the kernel gets (facts 5.7). Protocol 12 is the speaker's own:
 * unencapsulated pools, and everything that lies in no pool.
 */
export class FibPolicy {
  readonly #pools: readonly { readonly list: PrefixList; readonly class: PoolClass }[];
  readonly #services: PrefixList;
  readonly #programsNoEncap: boolean;
  readonly #priority: SpeakerConfig["normalPriority"];

  constructor(config: SpeakerConfig) {
    this.#pools = config.pools.map((pool) => ({
      list: new PrefixList([pool.prefix]),
      class: pool.class,
    }));
    this.#services = new PrefixList(config.serviceRanges);
    this.#programsNoEncap = config.programsNoEncap;
    this.#priority = config.normalPriority;
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
    // A /32 blackhole would be in the way of the pod's own route (facts 4.15).
    return isHostPrefix(prefix) ? "host-block" : this.#blackhole(prefix, at.prefixes.family);
  }

  /** True when a route of an earlier run may stay until the RIB has converged. */
  mayKeep(route: KernelRoute): boolean {
    const family: IpFamily = route.destination.includes(":") ? 6 : 4;
    return (
      route.kind === "unicast" &&
      this.#judge(packPrefixes([route.destination], family), 0) === "programmed"
    );
  }

  #judge(prefixes: PackedPrefixes, index: number): FibVerdict {
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
      table: mainTable,
      destination,
      priority: this.#priority[family],
      scope: "universe",
      protocol: routeProtocol.bird,
    };
  }
}

/** True when both make the kernel do the same with a packet. */
export function sameRoute(a: KernelRoute, b: KernelRoute): boolean {
  return routeText(a) === routeText(b);
}

function routeText(route: KernelRoute): string {
  const hops = route.nextHops ?? [{ gateway: route.gateway, ifindex: route.ifindex }];
  const sorted = hops.map(({ gateway = "", ifindex = 0 }) => `${gateway} ${ifindex}`).sort();
  const reach = route.kind === "unicast" ? sorted.join(", ") : "";
  return `${route.destination} ${route.priority} ${route.kind} ${route.protocol} ${reach}`;
}
