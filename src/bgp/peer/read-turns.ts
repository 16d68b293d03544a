import type { Clock } from "../../lib/clock.ts";
import { inOwnRound } from "../../lib/rounds.ts";
import { TimeSlice } from "../../lib/time-slice.ts";

/**
 * How long reading may go on before timers and writes have their turn. A socket with much to read
 * would else be read 32 times in a row by libuv: 2 MiB of UPDATEs are 100 ms and more.
 */
const turnMs = 8;

/** A connection that waits for the next turn. */
export interface WaitingReader {
  /** What it has read but not handled yet, its end included, and all that follows. */
  readOn(): void;
}

/**
 * Cuts the reading of all connections into turns, first come first served: what one connection brings
 * is never handled before what another has brought earlier.
 */
export class ReadTurns {
  readonly #clock: Clock;
  #turn: TimeSlice | undefined;
  #waiting: WaitingReader[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The time is up: who reads must wait(). */
  get isOver(): boolean {
    if (this.#turn !== undefined) return this.#turn.isOver;
    this.#turn = this.#begin();
    // It ends where this round of the event loop does: what waits is for the next round.
    setImmediate(() => this.#endRound());
    return false;
  }

  wait(reader: WaitingReader): void {
    this.#waiting.push(reader);
  }

  #begin(): TimeSlice {
    return new TimeSlice(() => this.#clock.now(), turnMs);
  }

  #endRound(): void {
    if (this.#waiting.length > 0) inOwnRound(() => this.#next());
    else this.#turn = undefined;
  }

  /** Timers have run since the turn before, and all sockets have been polled. */
  #next(): void {
    const readers = this.#waiting;
    this.#waiting = [];
    const turn = this.#begin();
    this.#turn = turn;
    let served = 0;
    while (served < readers.length && !turn.isOver) readers[served++]?.readOn();
    this.#waiting = [...readers.slice(served), ...this.#waiting];
    this.#endRound();
  }
}
