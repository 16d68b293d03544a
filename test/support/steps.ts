import type { Slice } from "../../src/lib/time-slice.ts";

/** A slice that is over after so many steps. */
export function steps(count: number): Slice {
  let left = count;
  return {
    get isOver() {
      return --left <= 0;
    },
  };
}
