import { getOrCreate } from "./collections.ts";
import type { KeyedLock } from "./keyed-lock.ts";

interface Waiting<Request, Result> {
  readonly request: Request;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

export interface BatchWork<Request, Result> {
  /** Requests that are worked on together, at most. */
  readonly limit: number;
  /** Whether a request may be worked on together with those before it. */
  mayJoin(request: Request, batch: readonly Request[]): boolean;
  /** @returns the outcome of each request, in their order. */
  work(key: string, batch: readonly Request[]): Promise<readonly PromiseSettledResult<Result>[]>;
}

/**
 * Requests of one key that wait while others of it are worked on are the next to be worked on, all
 * together and in order. Requests of different keys go side by side.
 */
export class BatchQueue<Request, Result> {
  readonly #waiting = new Map<string, Waiting<Request, Result>[]>();
  readonly #batchWork: BatchWork<Request, Result>;
  readonly #lock: KeyedLock;

  /** `lock`: shared with other work of the same keys. */
  constructor(batchWork: BatchWork<Request, Result>, lock: KeyedLock) {
    this.#batchWork = batchWork;
    this.#lock = lock;
  }

  run(key: string, request: Request): Promise<Result> {
    return new Promise((resolve, reject) => {
      const waiting = getOrCreate(this.#waiting, key, (): Waiting<Request, Result>[] => []);
      waiting.push({ request, resolve, reject });
      if (waiting.length === 1) this.#begin(key, waiting);
    });
  }

  #begin(key: string, waiting: Waiting<Request, Result>[]): void {
    void this.#lock.run(key, async () => {
      const batch = this.#takeBatch(waiting);
      if (waiting.length === 0) this.#waiting.delete(key);
      else this.#begin(key, waiting);
      await this.#workOn(key, batch);
    });
  }

  #takeBatch(waiting: Waiting<Request, Result>[]): Waiting<Request, Result>[] {
    const { limit, mayJoin } = this.#batchWork;
    const requests: Request[] = [];
    for (const { request } of waiting) {
      if (requests.length >= limit || !mayJoin(request, requests)) break;
      requests.push(request);
    }
    return waiting.splice(0, requests.length);
  }

  async #workOn(key: string, batch: readonly Waiting<Request, Result>[]): Promise<void> {
    try {
      const requests = batch.map(({ request }) => request);
      const outcomes = await this.#batchWork.work(key, requests);
      batch.forEach(({ resolve, reject }, index) => {
        const outcome = outcomes[index];
        if (outcome?.status === "fulfilled") resolve(outcome.value);
        else reject(outcome?.reason);
      });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}
