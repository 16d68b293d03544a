import type { Metric } from "../lib/metrics.ts";
import type { IpamMetrics } from "./ipam-metrics.ts";
import type { ReconcileCounts } from "./reconcile-counts.ts";
import type { ElectionPhase } from "./reflectors/election-plan.ts";
import type { ControllersState } from "./status-file.ts";

const phases: readonly ElectionPhase[] = [
  "off",
  "mesh",
  "electing",
  "reflectors",
  "moving",
  "returning",
  "blocked",
];

export interface ControllersMetricsSource {
  readonly state: ControllersState;
  readonly counts: ReconcileCounts;
  readonly ipam: IpamMetrics;
}

/** What the controllers tell Prometheus: who does not lead tells only that, and what it did before. */
export function controllersMetrics({ state, counts, ipam }: ControllersMetricsSource): Metric[] {
  const { isLeading, reflectors } = state;
  return [
    gauge("tortie_controllers_leader", "1: this process works, 0: another does.", [
      { value: isLeading ? 1 : 0 },
    ]),
    ...counts.collect(),
    ...(isLeading ? ipam.collect() : []),
    ...(reflectors === undefined
      ? []
      : [
          gauge(
            "tortie_route_reflectors_phase",
            "1 for the phase that the election of route reflectors is in.",
            phases.map((phase) => ({
              labels: { phase },
              value: phase === reflectors.phase ? 1 : 0,
            })),
          ),
          gauge("tortie_route_reflectors", "Elected route reflectors.", [
            { value: reflectors.reflectors.length },
          ]),
          gauge("tortie_route_reflectors_uncovered_nodes", "Nodes that no elected one reaches.", [
            { value: reflectors.uncovered },
          ]),
        ]),
  ];
}

function gauge(name: string, help: string, samples: Metric["samples"]): Metric {
  return { name, help, type: "gauge", samples };
}
