import { Background } from "./lab.ts";
import { waitFor } from "./wait-for.ts";

/** A ping every 10 ms: each answer has the number of its request, so that a lost one leaves a gap. */
export class SteadyPing {
  readonly what: string;
  readonly #ping: Background;

  constructor(what: string, netns: string, ...to: readonly string[]) {
    this.what = what;
    this.#ping = new Background(netns, "ping", "-n", "-i", "0.01", ...to);
  }

  /** Waits until it has answers to requests that are sent from now on. */
  async answers(): Promise<void> {
    const before = this.#answered().length;
    await waitFor(() => this.#answered().length > before + 20, {
      timeoutMs: 20_000,
      what: `answers to ${this.what}`,
    });
  }

  /** Numbers of the requests that were never answered, up to the last answer. */
  async lost(): Promise<readonly number[]> {
    await this.answers();
    await this.#ping.stop();
    const answered = new Set(this.#answered());
    const last = Math.max(...answered);
    return Array.from({ length: last }, (_, i) => i + 1).filter((seq) => !answered.has(seq));
  }

  async stop(): Promise<void> {
    await this.#ping.stop();
  }

  #answered(): number[] {
    return [...this.#ping.output.matchAll(/ icmp_seq=(\d+) ttl=/g)].map(([, seq]) => Number(seq));
  }
}
