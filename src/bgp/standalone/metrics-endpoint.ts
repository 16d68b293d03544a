import type { MetricsServerConfig } from "../../lib/metrics.ts";
import type { Service } from "../../lib/service.ts";

/** Where Prometheus asks, as the file says it now. */
export class MetricsEndpoint {
  readonly #serve: (config: MetricsServerConfig) => Service;
  #key = "";
  #stop = new AbortController();
  #ended: Promise<void> = Promise.resolve();

  constructor(serve: (config: MetricsServerConfig) => Service) {
    this.#serve = serve;
  }

  /** Moves to another address when that of before is free; undefined: none. */
  apply(config: MetricsServerConfig | undefined): void {
    const key = JSON.stringify(config ?? null);
    if (key === this.#key) return;
    this.#key = key;
    this.#stop.abort();
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    const before = this.#ended;
    this.#ended = before.then(async () => {
      if (config !== undefined && !signal.aborted) await this.#serve(config)(signal);
    });
  }

  /** Settles when nobody can ask any more. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }
}
