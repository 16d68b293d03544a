import { bird } from "./bird.ts";
import { floor } from "./floor.ts";
import { frr } from "./frr.ts";
import { gobgp } from "./gobgp.ts";
import { openbgpd } from "./openbgpd.ts";
import type { Target } from "./target.ts";
import { tortie } from "./tortie.ts";

/** All that can be measured. `nodeArgs` are for tortie's Node. */
export function allTargets(nodeArgs: readonly string[]): readonly Target[] {
  return [floor, tortie(nodeArgs), bird, frr("default"), frr(10), frr(0), openbgpd, gobgp];
}
