/**
 * How long one piece of work may go on in a turn of the event loop. Who is over stops, and goes on in a
 * later turn, so that timers and sockets have theirs. At least one step is done in every slice: ask
 * after it.
 */
export class TimeSlice {
  readonly #now: () => number;
  readonly #untilMs: number;

  /** `now`: in ms. */
  constructor(now: () => number, ms: number) {
    this.#now = now;
    this.#untilMs = now() + ms;
  }

  get isOver(): boolean {
    return this.#now() >= this.#untilMs;
  }
}

/** All that a worker asks of a slice. */
export type Slice = Pick<TimeSlice, "isOver">;

/** For who waits for the end: never over. */
export const unlimited: Slice = { isOver: false };
