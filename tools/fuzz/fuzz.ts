import type { FuzzTarget } from "./fuzz-target.ts";
import { mutate } from "./mutate.ts";
import { Random, seedOf } from "./random.ts";

export interface FuzzFailure {
  readonly input: Uint8Array;
  readonly error: unknown;
}

/** Inputs that showed something new, kept beside the corpus. */
const maxKept = 256;

/**
 * A target while it is fuzzed. Its inputs follow from target and seed alone: the same seed gives the
 * same inputs again, however they are spread over calls.
 */
export class FuzzRun {
  readonly target: FuzzTarget;
  readonly #random: Random;
  readonly #inputs: Uint8Array[];
  readonly #outcomes = new Set<string>();
  #count = 0;
  failure: FuzzFailure | undefined;

  constructor(target: FuzzTarget, seed: number) {
    this.target = target;
    this.#random = new Random(seedOf(target.name, seed));
    this.#inputs = [...target.corpus];
  }

  get count(): number {
    return this.#count;
  }

  /** How many different outcomes there were. */
  get outcomes(): number {
    return this.#outcomes.size;
  }

  /** The corpus itself first, then what is made of it. Nothing more after a failure. */
  step(): void {
    if (this.failure !== undefined) return;
    const input = this.target.corpus[this.#count++] ?? this.#next();
    try {
      const outcome = this.target.run(input);
      if (this.#outcomes.has(outcome)) return;
      this.#outcomes.add(outcome);
      if (this.#inputs.length < this.target.corpus.length + maxKept) this.#inputs.push(input);
    } catch (error) {
      this.failure = { input, error };
    }
  }

  #next(): Uint8Array {
    const { generate, maxLength } = this.target;
    const others = this.#inputs;
    if (generate !== undefined && this.#random.oneIn(2)) {
      const made = generate(this.#random).subarray(0, maxLength);
      return this.#random.oneIn(4) ? mutate(made, this.#random, { others, maxLength }) : made;
    }
    return mutate(this.#random.pick(others), this.#random, { others, maxLength });
  }
}
