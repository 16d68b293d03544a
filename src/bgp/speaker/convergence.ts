import type { EffectQueue } from "./effect-queue.ts";

/** Longest wait for peers after a start (facts 5.1, restart time). */
const convergenceSeconds = 120;

/**
 * When a speaker that has started knows all that its peers know: it has the End-of-RIB of each, or has
 * waited long enough. Until then nothing of an earlier run leaves the kernel; nothing else waits.
 */
export class Convergence {
  readonly #effects: EffectQueue;
  /** Names of peers whose first End-of-RIB has not come; undefined before the start. */
  #awaited: Set<string> | undefined;
  #isReached = false;

  constructor(effects: EffectQueue) {
    this.#effects = effects;
  }

  get isReached(): boolean {
    return this.#isReached;
  }

  start(names: Iterable<string>): void {
    this.#awaited = new Set(names);
    this.#effects.startTimer("convergence", convergenceSeconds);
  }

  /** A peer has told all that it has, or is gone. */
  settled(name: string): void {
    this.#awaited?.delete(name);
  }

  timedOut(): void {
    this.#awaited?.clear();
  }

  /** True once: when nobody is awaited any more. */
  reach(): boolean {
    if (this.#isReached || this.#awaited === undefined || this.#awaited.size > 0) return false;
    this.#isReached = true;
    return true;
  }
}
