import { SilenceGuard, type SilenceGuardConfig } from "../silence-guard.ts";

/** A watch's part in the guard. */
export interface Guarded {
  heard(): void;
  leave(): void;
}

/** One guard for all watches of a server: what one of them hears says that it is there for the others. */
export class WatchGuard {
  readonly #config: Omit<SilenceGuardConfig, "onDead">;
  readonly #watches = new Set<(cause: unknown) => void>();
  #guard: SilenceGuard | undefined;

  constructor(config: Omit<SilenceGuardConfig, "onDead">) {
    this.#config = config;
  }

  /** `onDead` hears of a server that does not answer, once. */
  join(onDead: (cause: unknown) => void): Guarded {
    const watch = (cause: unknown) => onDead(cause);
    this.#watches.add(watch);
    this.#guard ??= new SilenceGuard({
      ...this.#config,
      onDead: (cause) => {
        this.#end();
        const watches = [...this.#watches];
        this.#watches.clear();
        for (const each of watches) each(cause);
      },
    });
    return {
      heard: () => this.#guard?.heard(),
      leave: () => {
        this.#watches.delete(watch);
        if (this.#watches.size === 0) this.#end();
      },
    };
  }

  #end(): void {
    this.#guard?.end();
    this.#guard = undefined;
  }
}
