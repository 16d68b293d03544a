import type { Clock, Millis } from "../../src/lib/clock.ts";

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

/** Time that stands still until a test moves it. */
export class FakeClock implements Clock {
  #nowMs = 0;
  readonly #startMs: number;
  readonly #timers = new Set<Timer>();
  /** The one that fires next, where it is known. */
  #next: Timer | undefined;

  /** `start` is the wall-clock time at now() = 0. */
  constructor(start: Date = new Date("2026-01-01T00:00:00Z")) {
    this.#startMs = start.getTime();
  }

  /** Timers that have not fired. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  now(): Millis {
    return this.#nowMs as Millis;
  }

  date(): Date {
    return new Date(this.#startMs + this.#nowMs);
  }

  sleep(delayMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const cancel = this.setTimer(delayMs, () => {
        signal.removeEventListener("abort", stop);
        resolve();
      });
      const stop = () => {
        cancel();
        reject(signal.reason);
      };
      signal.addEventListener("abort", stop, { once: true });
    });
  }

  setTimer(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), callback };
    this.#timers.add(timer);
    if (this.#next !== undefined && timer.atMs < this.#next.atMs) this.#next = timer;
    return () => this.#remove(timer);
  }

  /** Moves time on by `ms`; every timer due in between fires at its own time, in order. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (let next = this.#firstUntil(endMs); next; next = this.#firstUntil(endMs)) {
      this.#remove(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
    }
    this.#nowMs = endMs;
  }

  /** Moves time on to the first timer, which fires with those of the same time; at most to `endMs`. */
  advanceToTimer(endMs: number): void {
    const first = this.#firstUntil(endMs);
    this.advance(Math.max(0, (first?.atMs ?? endMs) - this.#nowMs));
  }

  /** As advance(), in steps of `stepMs`, and lets promises run after each. */
  async advanceSlowly(ms: number, stepMs = 100): Promise<void> {
    for (let done = 0; done < ms; done += stepMs) {
      this.advance(Math.min(stepMs, ms - done));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** As if the process had been busy for `ms`: time passes first, then all due timers fire. */
  jump(ms: number): void {
    this.#nowMs += ms;
    this.advance(0);
  }

  #remove(timer: Timer): void {
    this.#timers.delete(timer);
    if (timer === this.#next) this.#next = undefined;
  }

  #firstUntil(endMs: number): Timer | undefined {
    this.#next ??= this.#first();
    return this.#next !== undefined && this.#next.atMs <= endMs ? this.#next : undefined;
  }

  #first(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (first === undefined || timer.atMs < first.atMs) first = timer;
    }
    return first;
  }
}
