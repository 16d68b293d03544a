import { Background } from "./lab.ts";
import { waitFor } from "./wait-for.ts";

const intervalMs = 10;

/** A ping every 10 ms: each answer has the number of its request, so that a lost one leaves a gap. */
export class SteadyPing {
  readonly what: string;
  readonly #ping: Background;

  constructor(what: string, netns: string, ...to: readonly string[]) {
    this.what = what;
    this.#ping = new Background(netns, "ping", "-n", "-i", `${intervalMs / 1000}`, ...to);
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
    return this.#unanswered();
  }

  /** The longest time in which all requests were lost. */
  async longestGapMs(): Promise<number> {
    let longest = 0;
    let run = 0;
    let before = 0;
    for (const seq of await this.lost()) {
      run = seq === before + 1 ? run + 1 : 1;
      before = seq;
      longest = Math.max(longest, run);
    }
    return longest * intervalMs;
  }

  /** How many requests were answered. */
  get answerCount(): number {
    return this.#answered().length;
  }

  #unanswered(): readonly number[] {
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
