import { bird } from "./bird.ts";
import { floor } from "./floor.ts";
import type { Target } from "./target.ts";
import { tortie } from "./tortie.ts";

/** All that can be measured. `nodeArgs` are for tortie's Node. */
export function allTargets(nodeArgs: readonly string[]): readonly Target[] {
  return [floor, tortie(nodeArgs), bird];
}
