import type { Millis } from "../lib/clock.ts";

/** What is compared with the kernel again from time to time, each at its own pace. */
export type Refreshed = "routes" | "ipSets" | "iptables" | "interfaces";

/** Which of them are due. One with an interval of 0 never is. */
export class RefreshTimers {
  readonly #intervals: readonly (readonly [what: Refreshed, ms: number])[];
  readonly #last = new Map<Refreshed, Millis>();

  constructor(intervalsMs: Readonly<Record<Refreshed, number>>) {
    const given = Object.entries(intervalsMs) as [Refreshed, number][];
    this.#intervals = given.filter(([, ms]) => ms > 0);
  }

  /** The longest that nobody may be asked. */
  get shortest(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.#intervals.map(([, ms]) => ms));
  }

  /** Those whose interval has passed since they were due last, or since the first call. */
  due(now: Millis): ReadonlySet<Refreshed> {
    const due = new Set<Refreshed>();
    for (const [what, ms] of this.#intervals) {
      const last = this.#last.get(what);
      if (last !== undefined && now - last < ms) continue;
      this.#last.set(what, now);
      if (last !== undefined) due.add(what);
    }
    return due;
  }
}
