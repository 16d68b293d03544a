import type { TurnTaking } from "../../src/lib/turns.ts";

/** Turns of so many steps each, that counts how many were taken. */
export class CountedTurns implements TurnTaking {
  taken = 0;
  readonly #steps: number;
  #left: number;

  constructor(steps: number) {
    this.#steps = steps;
    this.#left = steps;
  }

  get isOver(): boolean {
    return --this.#left <= 0;
  }

  async next(): Promise<void> {
    this.taken++;
    this.#left = this.#steps;
  }
}
