import type { SavedRule } from "./parse-save.ts";
import type { RenderedChain } from "./rendered-chain.ts";

/**
 * Which of the wanted rules are not there yet, when those that are there are right and in the right order.
 * Undefined: something must go or move.
 */
export function indexesOfAdded(
  actual: readonly Pick<SavedRule, "hash">[],
  wanted: readonly string[],
): number[] | undefined {
  let matched = 0;
  const added = wanted.flatMap((hash, index) => {
    if (actual[matched]?.hash !== hash) return [index];
    matched++;
    return [];
  });
  return matched === actual.length ? added : undefined;
}

/** Restore lines that put these rules where they belong; `indexes` ascend. */
export function additionLines(
  { name, bodies }: Pick<RenderedChain, "name" | "bodies">,
  indexes: readonly number[],
): string[] {
  let length = bodies.length - indexes.length;
  return indexes.map((index) => {
    const command = index === length++ ? `-A ${name}` : `-I ${name} ${index + 1}`;
    return `${command} ${bodies[index]}`;
  });
}
