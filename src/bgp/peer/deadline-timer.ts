import type { Clock } from "../../lib/clock.ts";

/**
 * A timer that is started anew again and again, as the hold timer is by every UPDATE: starting it
 * later only moves a number, the clock's timer is set again when it fires too early.
 */
export class DeadlineTimer {
  readonly #clock: Clock;
  readonly #expired: () => void;
  #deadlineMs = Number.POSITIVE_INFINITY;
  #wakeMs = Number.POSITIVE_INFINITY;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, expired: () => void) {
    this.#clock = clock;
    this.#expired = expired;
  }

  get isRunning(): boolean {
    return this.#deadlineMs !== Number.POSITIVE_INFINITY;
  }

  /** True when the deadline has passed and nobody has started or stopped the timer since. */
  get isExpired(): boolean {
    return this.#clock.now() >= this.#deadlineMs;
  }

  start(delayMs: number): void {
    this.#deadlineMs = this.#clock.now() + delayMs;
    if (this.#deadlineMs < this.#wakeMs) this.#wakeIn(delayMs);
  }

  /** As stop(), for a timer that is started again soon: the clock's timer stays. */
  pause(): void {
    this.#deadlineMs = Number.POSITIVE_INFINITY;
  }

  stop(): void {
    this.pause();
    this.#cancelWake();
  }

  #wakeIn(delayMs: number): void {
    this.#cancelWake();
    this.#wakeMs = this.#clock.now() + delayMs;
    this.#cancel = this.#clock.setTimer(delayMs, () => {
      this.#cancelWake();
      if (this.isExpired) this.#expired();
      else if (this.isRunning) {
        // A clock's timer may come a fraction of a millisecond early: never ask for nothing.
        this.#wakeIn(Math.max(1, this.#deadlineMs - this.#clock.now()));
      }
    });
  }

  #cancelWake(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#wakeMs = Number.POSITIVE_INFINITY;
  }
}
