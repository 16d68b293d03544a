import type { Brand } from "./brand.ts";

/** Milliseconds on the injected clock. */
export type Millis = Brand<number, "Millis">;

/** The only door to time. Production passes systemClock, tests pass a FakeClock. */
export interface Clock {
  /** Monotonic: only differences mean something. */
  now(): Millis;
  /** Wall-clock time, for what is written down. */
  date(): Date;
  /** Resolves after `delayMs`, rejects with the signal's reason when it aborts first. */
  sleep(delayMs: number, signal: AbortSignal): Promise<void>;
  /** Calls back once after `delayMs`, 0: at the end of this turn of the event loop. Returns what cancels it. */
  setTimer(delayMs: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now() as Millis,
  date: () => new Date(),
  sleep: (delayMs, signal) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const stop = () => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      const timer = setTimeout(() => {
        signal.removeEventListener("abort", stop);
        resolve();
      }, delayMs);
      signal.addEventListener("abort", stop, { once: true });
    }),
  setTimer: (delayMs, callback) => {
    if (delayMs === 0) {
      const turn = setImmediate(callback);
      return () => clearImmediate(turn);
    }
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};
