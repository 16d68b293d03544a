import type { TunnelKind } from "../ipam/handles.ts";
import type { Clock, Millis } from "../lib/clock.ts";

/** Other nodes may be this much later than us to learn that a pool's packets need no tunnel any more. */
export const lingerMs = 10_000;

/**
 * Tunnels that no pool calls for any more stay for a while, since other nodes may still send through
 * them: felix keeps a tunnel's device as long as the node has an address in it.
 */
export class TunnelLinger {
  readonly #clock: Clock;
  readonly #since = new Map<TunnelKind, Millis>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True when the tunnel has been spare for long enough. The first call begins the wait. */
  isOver(kind: TunnelKind): boolean {
    const now = this.#clock.now();
    const since = this.#since.get(kind) ?? now;
    this.#since.set(kind, since);
    return now - since >= lingerMs;
  }

  /** The tunnel is called for, or gone. */
  forget(kind: TunnelKind): void {
    this.#since.delete(kind);
  }

  /** The datastore is locked: what is waited for cannot be done, and the wait begins again afterwards. */
  forgetAll(): void {
    this.#since.clear();
  }

  /** Time until the next wait is over; undefined: nothing is waited for. */
  get remainingMs(): number | undefined {
    if (this.#since.size === 0) return undefined;
    return Math.max(0, Math.min(...this.#since.values()) + lingerMs - this.#clock.now());
  }
}
