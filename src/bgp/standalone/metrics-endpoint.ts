import { errorMessage } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { MetricsServerConfig } from "../../lib/metrics.ts";
import type { Service } from "../../lib/service.ts";

/** Where Prometheus asks, as the file says it now. That nobody can ask there is logged. */
export class MetricsEndpoint {
  readonly #serve: (config: MetricsServerConfig) => Service;
  readonly #log: Logger;
  #key = "";
  #stop = new AbortController();
  #ended: Promise<void> = Promise.resolve();

  constructor(serve: (config: MetricsServerConfig) => Service, log: Logger) {
    this.#serve = serve;
    this.#log = log;
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
    this.#ended = before.then(() => this.#run(config, signal));
  }

  /** Settles when nobody can ask any more. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  async #run(config: MetricsServerConfig | undefined, signal: AbortSignal): Promise<void> {
    if (config === undefined || signal.aborted) return;
    try {
      await this.#serve(config)(signal);
    } catch (error) {
      this.#log.error({ ...config, reason: errorMessage(error) }, "Cannot serve metrics");
    }
  }
}
