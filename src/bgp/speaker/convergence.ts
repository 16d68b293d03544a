import type { EffectQueue } from "./effect-queue.ts";

/** Longest wait for peers after a start (facts 5.1, restart time). */
const convergenceSeconds = 120;

/**
 * When a speaker that has started knows all that its peers know: it has the End-of-RIB of each, or has
 * waited long enough. Until then nothing of an earlier run leaves the kernel.
 *
 * Peers keep what an earlier run has told them until our End-of-RIB. After a restart that waits too:
 * a reflector that ended its RIB before all clients are back would have the others drop their routes.
 * Peers that are restarting themselves are not waited for (RFC 4724 section 4.1), as they may wait for
 * us. Differs from RFC 4724 section 4.1: routes are chosen and told as they come.
 */
export class Convergence {
  /** An earlier run may have told our peers something. */
  isRestart = false;
  readonly #effects: EffectQueue;
  /** Names of peers whose first End-of-RIB has not come; undefined before the start. */
  #awaited: Set<string> | undefined;
  readonly #restarting = new Set<string>();
  #isReached = false;
  #endsRibs = false;

  constructor(effects: EffectQueue) {
    this.#effects = effects;
  }

  get isReached(): boolean {
    return this.#isReached;
  }

  /** A peer may be sent End-of-RIB behind what it is told. */
  get mayEndRib(): boolean {
    return this.#endsRibs || !this.isRestart;
  }

  start(names: Iterable<string>): void {
    this.#awaited = new Set(names);
    this.#effects.startTimer("convergence", convergenceSeconds);
  }

  /** A peer has told all that it has, or is gone. */
  settled(name: string): void {
    this.#awaited?.delete(name);
  }

  /** A peer says that it has restarted too. */
  restarts(name: string): void {
    this.#restarting.add(name);
  }

  timedOut(): void {
    this.#awaited?.clear();
  }

  /** `endRibs` or `reach` would be true. */
  get isDue(): boolean {
    return this.#mayEndNow() || this.#isReachedNow();
  }

  /** True once, after a restart: End-of-RIB may be sent to those who wait for it. */
  endRibs(): boolean {
    if (!this.#mayEndNow()) return false;
    this.#endsRibs = true;
    return true;
  }

  /** True once: when nobody is awaited any more. */
  reach(): boolean {
    if (!this.#isReachedNow()) return false;
    this.#isReached = true;
    return true;
  }

  #mayEndNow(): boolean {
    if (this.mayEndRib || this.#awaited === undefined) return false;
    for (const name of this.#awaited) if (!this.#restarting.has(name)) return false;
    return true;
  }

  #isReachedNow(): boolean {
    return !this.#isReached && this.#awaited?.size === 0;
  }
}
