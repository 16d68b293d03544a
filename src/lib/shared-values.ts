/** Values that are remembered; then it begins anew. */
const limit = 20_000;

/**
 * One object for equal values of JSON, so that what many resources have alike is in memory once. Who gets one may
 * not change it.
 */
export class SharedValues {
  readonly #known = new Map<string, unknown>();

  share<Value>(value: Value): Value {
    const text = JSON.stringify(value);
    const known = this.#known.get(text);
    if (known !== undefined) return known as Value;
    if (this.#known.size >= limit) this.#known.clear();
    this.#known.set(text, value);
    return value;
  }
}
