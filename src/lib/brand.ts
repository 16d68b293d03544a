declare const brand: unique symbol;

/** Makes `Base` nominal: a plain string can no longer stand in for a Prefix. */
export type Brand<Base, Name extends string> = Base & { readonly [brand]: Name };

/** Marks the branch that the type checker proved impossible. */
export function assertNever(value: never): never {
  throw new Error(`Unreachable case: ${JSON.stringify(value)}`);
}

/** Ends the process' present task when a fact that must hold does not. */
export function invariant(condition: unknown, why: string): asserts condition {
  if (!condition) throw new Error(`Invariant broken: ${why}`);
}
