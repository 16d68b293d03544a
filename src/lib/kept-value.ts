/** A value that is made anew only from other inputs: equal inputs give the very same object again. */
export class KeptValue<Value> {
  #inputs: readonly unknown[] | undefined;
  #value: Value | undefined;

  /** Inputs are compared one by one, as Object.is does. */
  of(inputs: readonly unknown[], make: () => Value): Value {
    const same = this.#inputs?.every((input, index) => Object.is(input, inputs[index]));
    if (same !== true || this.#inputs?.length !== inputs.length) {
      this.#value = make();
      this.#inputs = inputs;
    }
    return this.#value as Value;
  }
}
