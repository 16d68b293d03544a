import { setImmediate } from "node:timers/promises";
import type { Clock } from "./clock.ts";
import { type Slice, TimeSlice } from "./time-slice.ts";

/** Nothing waits longer for its turn of the event loop, but for what one step takes. */
const sliceMs = 8;

/**
 * Long work that its caller waits for, slice by slice:
 *
 *     for (const item of million) {
 *       step(item);
 *       if (turns.isOver) await turns.next();
 *     }
 */
export class Turns implements Slice {
  readonly #now: () => number;
  #slice: TimeSlice;

  constructor(clock: Pick<Clock, "now">) {
    this.#now = () => clock.now();
    this.#slice = new TimeSlice(this.#now, sliceMs);
  }

  get isOver(): boolean {
    return this.#slice.isOver;
  }

  /** Lets others have their turn, then begins the next slice. */
  async next(): Promise<void> {
    await setImmediate();
    this.#slice = new TimeSlice(this.#now, sliceMs);
  }
}
