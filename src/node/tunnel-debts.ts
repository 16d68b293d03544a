import { type TunnelKind, tunnelHandles } from "../ipam/handles.ts";
import type { Clock, Millis } from "../lib/clock.ts";

/** When what an earlier process may have left is looked for: a start asks enough of the datastore. */
export const earlierDebtsMs = 60_000;

/**
 * Tunnel addresses that IPAM may still have although their Node does not: of a release that failed, or of an
 * earlier process that ended in one.
 */
export class TunnelDebts {
  readonly #clock: Clock;
  readonly #began: Millis;
  readonly #own = new Set<TunnelKind>();
  readonly #earlier = new Set(Object.keys(tunnelHandles) as TunnelKind[]);

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#began = clock.now();
  }

  owe(kind: TunnelKind): void {
    this.#own.add(kind);
  }

  /** IPAM is to be asked now. */
  isDue(kind: TunnelKind): boolean {
    return this.#own.has(kind) || (this.#earlier.has(kind) && this.#isLate);
  }

  /** The tunnel has an address, or IPAM has released what there was. */
  settle(kind: TunnelKind): void {
    this.#own.delete(kind);
    if (this.#isLate) this.#earlier.delete(kind);
  }

  get #isLate(): boolean {
    return this.#clock.now() - this.#began >= earlierDebtsMs;
  }
}
