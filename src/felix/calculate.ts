import type { Clock } from "../lib/clock.ts";
import { Turns } from "../lib/turns.ts";
import type { CalcGraph } from "./calc/calc-graph.ts";
import type { DataplaneUpdate } from "./calc/updates.ts";

/**
 * What the graph has to tell, worked out in slices: of all that came before, nothing of what comes
 * meanwhile, and nothing that is calculated only in part.
 */
export async function calculate(
  graph: Pick<CalcGraph, "begin" | "work" | "tell">,
  clock: Pick<Clock, "now">,
): Promise<DataplaneUpdate[]> {
  const turns = new Turns(clock);
  graph.begin();
  while (!graph.work(turns)) await turns.next();
  return graph.tell();
}
