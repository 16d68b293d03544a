import type { Clock } from "../lib/clock.ts";
import { Turns } from "../lib/turns.ts";
import type { CalcGraph } from "./calc/calc-graph.ts";
import type { DataplaneUpdate } from "./calc/updates.ts";

/**
 * What the graph has to tell, worked out in slices. What comes in meanwhile is in it: nothing is told
 * of a state that was calculated only in part.
 */
export async function calculate(
  graph: Pick<CalcGraph, "work" | "flush">,
  clock: Pick<Clock, "now">,
): Promise<DataplaneUpdate[]> {
  const turns = new Turns(clock);
  while (!graph.work(turns)) await turns.next();
  return graph.flush();
}
