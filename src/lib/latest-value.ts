import { aborted } from "./service.ts";

/** The last of several values, for one who takes some time over each. */
export class LatestValue<Value> {
  #latest: { readonly value: Value; readonly outdated: AbortController } | undefined;
  #wake: () => void = () => undefined;
  #isTaken = true;

  set(value: Value): void {
    this.#latest?.outdated.abort();
    this.#latest = { value, outdated: new AbortController() };
    this.#isTaken = false;
    this.#wake();
  }

  /**
   * The latest value that was not taken yet, once there is one. `outdated` aborts when the next comes.
   * Undefined when `signal` aborts first. One call at a time.
   */
  async next(
    signal: AbortSignal,
  ): Promise<{ readonly value: Value; readonly outdated: AbortSignal } | undefined> {
    while (this.#isTaken && !signal.aborted) {
      const set = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await Promise.race([set, aborted(signal)]);
    }
    if (signal.aborted || this.#latest === undefined) return undefined;
    this.#isTaken = true;
    return { value: this.#latest.value, outdated: this.#latest.outdated.signal };
  }
}
