import { bird } from "./bird.ts";
import { floor } from "./floor.ts";
import { frr } from "./frr.ts";
import { gobgp } from "./gobgp.ts";
import { openbgpd } from "./openbgpd.ts";
import type { Target } from "./target.ts";
import { type TortieOptions, tortie } from "./tortie.ts";

/** All that can be measured, in the order of the table's columns. */
export function allTargets(own: TortieOptions): readonly Target[] {
  return [floor, bird, frr("default"), frr(10), frr(0), openbgpd, gobgp, tortie(own)];
}
