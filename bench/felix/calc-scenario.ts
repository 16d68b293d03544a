import { type Watched, watched } from "./calc-blocked.ts";
import type { ClusterSize } from "./calc-cluster.ts";
import { clusterDatastore, feedCluster } from "./calc-feed.ts";
import { labelChangeTimes } from "./calc-label-change.ts";
import { millionMembers } from "./calc-million.ts";

/**
 * One scenario in a process of its own, so that memory and blocked time are its own.
 *
 * Usage: node bench/felix/calc-scenario.ts graph SIZE | label-change | million. Prints its report as JSON.
 */
export interface GraphReport extends Omit<Watched<unknown>, "result"> {
  readonly updates: Readonly<Record<string, number>>;
}

async function graphReport(size: ClusterSize): Promise<GraphReport> {
  const datastore = clusterDatastore(size);
  const { result, ...times } = await watched(() => feedCluster(datastore));
  const updates: Record<string, number> = {};
  for (const { kind } of result) updates[kind] = (updates[kind] ?? 0) + 1;
  return { ...times, updates };
}

const [scenario, size = "{}"] = process.argv.slice(2);
const reports: Readonly<Record<string, () => unknown>> = {
  graph: () => graphReport(JSON.parse(size) as ClusterSize),
  "label-change": labelChangeTimes,
  million: millionMembers,
};
console.log(JSON.stringify(await reports[scenario ?? ""]?.()));
