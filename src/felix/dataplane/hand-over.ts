import { routeKey } from "../../kernel/ip/route-identity.ts";
import type { KernelRoute } from "../../kernel/kernel.ts";
import type { Clock, Millis } from "../../lib/clock.ts";
import type { Prefix } from "../../lib/prefix.ts";

/** After this nobody is waited for. */
const patienceMs = 60_000;

/**
 * Routes to destinations that another owner is to have from now on (ADR 6), or that cannot be as they
 * are wanted yet. Each stays until the other owner's route is there: whoever is slower, there is a route
 * at every moment. Nothing is remembered but when a wait began, so a fresh process does the same.
 */
export class HandOver {
  readonly #clock: Clock;
  readonly #isOwn: (route: KernelRoute) => boolean;
  #begun = new Map<string, Millis>();
  #awaited: ReadonlySet<Prefix> = new Set();

  constructor(clock: Clock, isOwn: (route: KernelRoute) => boolean) {
    this.#clock = clock;
    this.#isOwn = isOwn;
  }

  /**
   * Which of the routes that are to go must stay for now.
   *
   * @param leaving own routes that nobody wants, to destinations that somebody wants.
   * @param listed all routes of the table.
   * @returns their keys.
   */
  staying(leaving: readonly KernelRoute[], listed: readonly KernelRoute[]): ReadonlySet<string> {
    const others = leaving.length === 0 ? [] : listed.filter((route) => !this.#isOwn(route));
    const taken = new Set(others.map(({ destination }) => destination));
    const now = this.#clock.now();
    const before = this.#begun;
    const staying = leaving.filter((route) => {
      const begun = before.get(routeKey(route)) ?? now;
      return !taken.has(route.destination) && now - begun < patienceMs;
    });
    this.#awaited = new Set(staying.map(({ destination }) => destination));
    // Those whose time is over are remembered too, as long as they are there.
    this.#begun = new Map(
      leaving.map((route) => [routeKey(route), before.get(routeKey(route)) ?? now]),
    );
    return new Set(staying.map(routeKey));
  }

  /** True when it is the other owner's route that was waited for. */
  isAwaited(route: KernelRoute): boolean {
    return this.#awaited.has(route.destination) && !this.#isOwn(route);
  }
}
