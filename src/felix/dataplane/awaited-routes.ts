import type { KernelEvent, KernelRoute } from "../../kernel/kernel.ts";
import { routeProtocol } from "../../kernel/ownership.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Prefix } from "../../lib/prefix.ts";

/** So long bgp may take to have its route, or a tunnel's end to be known, from when ours was first to go. */
const patienceMs = 30_000;

/**
 * Our routes to destinations that bgp programs now, or that lack something yet. Each stays until bgp's is
 * in the kernel, or is replaced in place by ours, for a while: no packet is lost when a pool changes its
 * owner or its tunnel (facts 5.19).
 */
export class AwaitedRoutes {
  readonly #clock: Clock;
  #destinations: ReadonlySet<Prefix> = new Set();
  /** Since when each of ours waits for bgp's. */
  #since = new Map<Prefix, number>();
  /** When the first of those that stay has stayed long enough. */
  #endsAt = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Remote blocks and own ones whose pools are bgp's, and remote ones whose routes cannot be made yet. */
  set destinations(destinations: ReadonlySet<Prefix>) {
    this.#destinations = destinations;
  }

  /** True when one has stayed long enough: the kernel's routes must be looked at. */
  get isOver(): boolean {
    return this.remainingMs === 0;
  }

  /** Time until then; undefined: none stays. */
  get remainingMs(): number | undefined {
    if (this.#endsAt === Number.POSITIVE_INFINITY) return undefined;
    return Math.max(0, this.#endsAt - this.#clock.now());
  }

  /** Of the kernel's routes those to such destinations that have none of bgp's yet. */
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
    const kept = [...since].filter(([, at]) => now - at < patienceMs);
    this.#endsAt = kept.reduce(
      (first, [, at]) => Math.min(first, at + patienceMs),
      Number.POSITIVE_INFINITY,
    );
    return new Set(kept.map(([to]) => to));
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
