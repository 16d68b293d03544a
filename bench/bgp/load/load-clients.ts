import { LoadSession } from "./load-session.ts";
import { type OwnSlots, PrefixCounter } from "./prefix-counter.ts";
import type { PrefixSpace } from "./workload.ts";

export interface LoadPlan {
  readonly clients: number;
  readonly target: string;
  readonly port: number;
  readonly asn: number;
  readonly holdSeconds: number;
  readonly space: PrefixSpace;
  readonly ownSlots: (client: number) => OwnSlots;
}

/** Client i is 10.77.0.0 plus 256 + i: the topology gives the addresses, the targets the neighbours. */
export function clientAddressOf(index: number): number {
  return 0x0a4d0100 + index;
}

export function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join(".");
}

const quietMs = 300;
/** Before a row few sessions come up at once: a listener's queue (5 of OpenBGPD) is not what it measures. */
const connectsAtOnce = 4;

/** Clients do not have what they should have in time. */
export class NotReached extends Error {}

/** All sessions of a row, and the moment when each has what it should have. */
export class LoadClients {
  readonly sessions: readonly LoadSession[];
  readonly #wanted: Float64Array;
  readonly #done: Uint8Array;
  #missing = 0;
  #finished: ((at: number) => void) | undefined;
  #lastProgress = 0;

  constructor({ clients, target, port, asn, holdSeconds, space, ownSlots }: LoadPlan) {
    this.#wanted = new Float64Array(clients).fill(Number.NaN);
    this.#done = new Uint8Array(clients).fill(1);
    this.sessions = Array.from({ length: clients }, (_, index) => {
      const address = clientAddressOf(index);
      return new LoadSession({
        address: dotted(address),
        routerId: address,
        target,
        port,
        asn,
        holdSeconds,
        counter: new PrefixCounter(space, ownSlots(index)),
        onProgress: () => this.#progress(index),
      });
    });
  }

  async start(): Promise<void> {
    const left = this.sessions.values();
    const startSome = async () => {
      for (const session of left) await new Promise<void>((up) => session.start(up));
    };
    await Promise.all(Array.from({ length: connectsAtOnce }, startSome));
  }

  stop(): void {
    for (const session of this.sessions) session.stop();
  }

  /**
   * Settles at the moment when client i has exactly wanted(i) prefixes, for all i at once; undefined:
   * that client does not matter. Rejects with NotReached after `timeoutMs`.
   */
  reach(wanted: (index: number) => number | undefined, timeoutMs: number): Promise<number> {
    this.#missing = 0;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#finished = undefined;
        reject(new NotReached(`not done after ${timeoutMs / 1000} s: ${this.#whatIsMissing()}`));
      }, timeoutMs);
      this.#finished = (at) => {
        clearTimeout(timer);
        this.#finished = undefined;
        resolve(at);
      };
      for (const [index, { config }] of this.sessions.entries()) {
        const want = wanted(index) ?? Number.NaN;
        this.#wanted[index] = want;
        const done = Number.isNaN(want) || config.counter.count === want;
        this.#done[index] = done ? 1 : 0;
        if (!done) this.#missing++;
      }
      if (this.#missing === 0) this.#finished(performance.now());
    });
  }

  #whatIsMissing(): string {
    const index = this.#done.indexOf(0);
    const count = this.sessions[index]?.config.counter.count;
    const example = `client ${index} has ${count} of ${this.#wanted[index]} prefixes`;
    return `${this.#missing} of ${this.sessions.length} clients wait, ${example}`;
  }

  /** Waits until nothing has changed for a while. */
  async quiet(forMs: number = quietMs): Promise<void> {
    this.#lastProgress = Math.max(this.#lastProgress, performance.now() - forMs + 50);
    while (performance.now() - this.#lastProgress < forMs) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  #progress(index: number): void {
    this.#lastProgress = performance.now();
    const want = this.#wanted[index] as number;
    if (Number.isNaN(want)) return;
    const done = this.sessions[index]?.config.counter.count === want ? 1 : 0;
    const before = this.#done[index] as number;
    if (done === before) return;
    this.#done[index] = done;
    this.#missing += before - done;
    if (this.#missing === 0) this.#finished?.(this.#lastProgress);
  }
}
