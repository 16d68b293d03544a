import type { KernelEvent, KernelRoute } from "../../kernel/kernel.ts";
import { routeProtocol } from "../../kernel/ownership.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Prefix } from "../../lib/prefix.ts";

/** So long bgp may take to have its route, from when we first found that ours is to go. */
const patienceMs = 30_000;

/**
 * Our routes to destinations that bgp programs now. Each stays until bgp's is in the kernel, for a while:
 * no packet is lost when a pool changes its owner (facts 5.19).
 */
export class GivenRoutes {
  readonly #clock: Clock;
  #destinations: ReadonlySet<Prefix> = new Set();
  /** Since when each of ours waits for bgp's. */
  #since = new Map<Prefix, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Remote blocks and own ones whose pools are bgp's. */
  set destinations(destinations: ReadonlySet<Prefix>) {
    this.#destinations = destinations;
  }

  /** Of the kernel's routes those to destinations that are bgp's, but have none of bgp's yet. */
  kept(routes: readonly KernelRoute[], isOurs: (route: KernelRoute) => boolean): Set<Prefix> {
    const served = new Set(
      routes.filter(isBgps).map(({ destination }: KernelRoute) => destination),
    );
    const now = this.#clock.now();
    const since = new Map<Prefix, number>();
    for (const route of routes) {
      const { destination } = route;
      if (!this.#destinations.has(destination) || served.has(destination) || !isOurs(route))
        continue;
      since.set(destination, this.#since.get(destination) ?? now);
    }
    this.#since = since;
    return new Set([...since].flatMap(([to, at]) => (now - at < patienceMs ? to : [])));
  }

  /** True when bgp has programmed what one of our routes waits for. */
  ends(event: KernelEvent): boolean {
    return (
      event.kind === "route" &&
      event.op === "set" &&
      isBgps(event.route) &&
      this.#since.has(event.route.destination)
    );
  }
}

function isBgps({ protocol }: KernelRoute): boolean {
  return protocol === routeProtocol.bird;
}
