/** What to do so that `actual` becomes `desired`. Plain data: print it, test it, apply it. */
export interface Plan<Key, Value> {
  readonly set: ReadonlyMap<Key, Value>;
  /** Keys to remove, with what is there now. */
  readonly remove: ReadonlyMap<Key, Value>;
}

/**
 * Compares desired with actual kernel state.
 *
 * `actual` holds only what is ours (by protocol number, name prefix or rule hash), so an unknown key
 * in it is a leftover of an earlier run: remove it.
 */
export function plan<Key, Value>(
  desired: ReadonlyMap<Key, Value>,
  actual: ReadonlyMap<Key, Value>,
  equal: (a: Value, b: Value) => boolean,
): Plan<Key, Value> {
  const set = new Map<Key, Value>();
  for (const [key, want] of desired) {
    const have = actual.get(key);
    if (have === undefined || !equal(want, have)) set.set(key, want);
  }
  const remove = new Map<Key, Value>();
  for (const [key, have] of actual) if (!desired.has(key)) remove.set(key, have);
  return { set, remove };
}
