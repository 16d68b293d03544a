/** Sizes that are tried at a time. */
const atATime = 8;
/** More than the halving of 64 KiB by nines can take. */
const maxRounds = 8;

/**
 * The largest size that passes, between `low`, which does, and `high`, which does not. `passes` tries
 * some sizes at once and gives those that passed. What is lost by chance makes the answer smaller, so
 * `passes` must try each more than once.
 */
export async function largestSize(
  { low, high }: { readonly low: number; readonly high: number },
  passes: (sizes: readonly number[]) => Promise<readonly number[]>,
): Promise<number> {
  let [passing, failing] = [low, high];
  for (let round = 0; round < maxRounds && failing - passing > 1; round++) {
    const sizes = sizesBetween(passing, failing);
    const passed = new Set(await passes(sizes));
    // What is lost by chance below one that passes does not matter.
    passing = sizes.findLast((size) => passed.has(size)) ?? passing;
    failing = sizes.find((size) => size > passing) ?? failing;
  }
  return passing;
}

/** Evenly spread, without the ends. */
export function sizesBetween(low: number, high: number): number[] {
  const count = Math.min(atATime, high - low - 1);
  const step = (high - low) / (count + 1);
  return Array.from({ length: count }, (_, i) => low + Math.round((i + 1) * step));
}
