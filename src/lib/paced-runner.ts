import type { Clock } from "./clock.ts";

export interface PacedRunnerConfig {
  /** Shortest time between the ends and starts of two runs. */
  readonly minIntervalMs: number;
  /** Time to the next try after a failed run. */
  readonly retryIntervalMs: number;
  /** Longest time without a run, so that drift is found. Infinity: only on request. */
  readonly maxIntervalMs: number;
}

/**
 * Runs one job again and again: soon after each request (requests in between are one), after a
 * failure by `retryIntervalMs`, and at the latest every `maxIntervalMs`. Never two runs at once.
 */
export class PacedRunner {
  readonly #config: PacedRunnerConfig;
  readonly #clock: Clock;
  #requested = false;
  #wake: (() => void) | undefined;

  constructor(config: PacedRunnerConfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
  }

  /** Asks for a run. Cheap; many calls before the next run are one run. */
  request(): void {
    this.#requested = true;
    this.#wake?.();
  }

  /** Runs until `signal` aborts. `run` reports failure by throwing; `onError` hears of it. */
  async start(
    run: () => Promise<void>,
    onError: (error: unknown) => void,
    signal: AbortSignal,
  ): Promise<void> {
    let waitMs = this.#config.maxIntervalMs;
    while (!signal.aborted) {
      await this.#requestedOrAfter(waitMs, signal);
      if (signal.aborted) return;
      this.#requested = false;
      try {
        await run();
        waitMs = this.#config.maxIntervalMs;
      } catch (error) {
        onError(error);
        waitMs = this.#config.retryIntervalMs;
      }
      await this.#clock.sleep(this.#config.minIntervalMs, signal).catch(() => undefined);
    }
  }

  #requestedOrAfter(waitMs: number, signal: AbortSignal): Promise<void> {
    if (this.#requested || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel =
        waitMs === Number.POSITIVE_INFINITY
          ? () => undefined
          : this.#clock.setTimer(waitMs, () => done());
      const done = () => {
        cancel();
        signal.removeEventListener("abort", done);
        this.#wake = undefined;
        resolve();
      };
      this.#wake = done;
      signal.addEventListener("abort", done, { once: true });
    });
  }
}
