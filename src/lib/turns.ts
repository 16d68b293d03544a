import { setImmediate } from "node:timers/promises";
import { type Slice, TimeSlice } from "./time-slice.ts";

/** Nothing waits longer for its turn of the event loop, but for what one step takes. */
const sliceMs = 8;

/** All that a worker needs of its turns. */
export interface TurnTaking extends Slice {
  /** Lets others have their turn, then begins the next slice. */
  next(): Promise<void>;
}

/**
 * Long work that its caller waits for, slice by slice:
 *
 *     for (const item of million) {
 *       step(item);
 *       if (turns.isOver) await turns.next();
 *     }
 */
export class Turns implements TurnTaking {
  readonly #now: () => number;
  #slice: TimeSlice;

  /** `clock`: in ms, Clock or performance. */
  constructor(clock: { now(): number }) {
    this.#now = () => clock.now();
    this.#slice = new TimeSlice(this.#now, sliceMs);
  }

  get isOver(): boolean {
    return this.#slice.isOver;
  }

  async next(): Promise<void> {
    await setImmediate();
    this.#slice = new TimeSlice(this.#now, sliceMs);
  }
}
