export interface BackoffConfig {
  readonly minMs: number;
  readonly maxMs: number;
}

/** Delays that double from `minMs` to `maxMs`, each with up to a quarter of jitter on top. */
export class Backoff {
  readonly #config: BackoffConfig;
  readonly #random: () => number;
  #nextMs: number;

  constructor(config: BackoffConfig, random: () => number = Math.random) {
    this.#config = config;
    this.#random = random;
    this.#nextMs = config.minMs;
  }

  /** Milliseconds to wait before the next try. */
  next(): number {
    const delay = this.#nextMs;
    this.#nextMs = Math.min(delay * 2, this.#config.maxMs);
    return delay * (1 + this.#random() / 4);
  }

  /** To be called after a success. */
  reset(): void {
    this.#nextMs = this.#config.minMs;
  }
}
