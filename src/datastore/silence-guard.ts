import type { Clock } from "../lib/clock.ts";

export interface SilenceGuardConfig {
  readonly clock: Clock;
  /** A server that says nothing for so long is asked. */
  readonly silenceMs: number;
  /** Asks something that only a server that works can answer; throws when it does not. */
  readonly check: () => Promise<void>;
  /** The check has failed: what it threw. Not after end(). */
  readonly onDead: (cause: unknown) => void;
}

/** Tells a quiet watch from one whose server is gone, or hangs with the connection open. */
export class SilenceGuard {
  readonly #config: SilenceGuardConfig;
  #cancel: () => void = () => undefined;
  #ended = false;

  constructor(config: SilenceGuardConfig) {
    this.#config = config;
    this.heard();
  }

  heard(): void {
    this.#cancel();
    if (this.#ended) return;
    const { clock, silenceMs } = this.#config;
    this.#cancel = clock.setTimer(silenceMs, () => void this.#ask());
  }

  end(): void {
    this.#ended = true;
    this.#cancel();
  }

  async #ask(): Promise<void> {
    try {
      await this.#config.check();
      this.heard();
    } catch (error) {
      if (!this.#ended) this.#config.onDead(error);
    }
  }
}
