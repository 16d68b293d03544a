import type { Random } from "./random.ts";

/** One decoder under test. */
export interface FuzzTarget {
  readonly name: string;
  /** What the first inputs are made of. */
  readonly corpus: readonly Uint8Array[];
  readonly maxLength: number;
  /** An input that has the right shape, in which anything may be wrong. */
  readonly generate?: (random: Random) => Uint8Array;
  /**
   * Decodes, and checks what must hold of any input. Gives what became of it in words without values:
   * an input whose outcome is new is kept to make more of it.
   *
   * @throws {Error} when something does not hold.
   */
  readonly run: (input: Uint8Array) => string;
}
