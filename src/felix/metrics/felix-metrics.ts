import type { SyncStatus } from "../../datastore/syncer.ts";
import type { TableName } from "../../kernel/iptables/model.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { Metric, MetricSample } from "../../lib/metrics.ts";
import type { FelixCounters } from "./felix-counters.ts";

/** How much there is of what, now. */
export interface FelixSizes {
  readonly local: { readonly endpoints: number; readonly policies: number };
  readonly cluster: Readonly<Record<ClusterPart, number>>;
  readonly tables: readonly {
    readonly table: TableName;
    readonly family: IpFamily;
    readonly chains: number;
    readonly rules: number;
  }[];
  readonly sets: readonly { readonly family: IpFamily; readonly count: number }[];
}

export type ClusterPart =
  | "host_endpoints"
  | "hosts"
  | "policies"
  | "profiles"
  | "tiers"
  | "workload_endpoints";

/** Calico's numbers. */
const states: Readonly<Record<SyncStatus, number>> = {
  waiting: 1,
  resyncing: 2,
  "in-sync": 3,
};

/** What felix tells Prometheus, by Calico's names (facts 4.12). Sizes are absent before felix is there. */
export function felixMetrics(
  host: string,
  counters: FelixCounters,
  sizes: FelixSizes | undefined,
): readonly Metric[] {
  return [
    gauge("felix_host", "The name of this node, as a label.", [{ labels: { host }, value: 1 }]),
    gauge("felix_resync_state", "Datastore: 1 waits, 2 lists, 3 in sync.", [
      { value: states[counters.datastore] },
    ]),
    counter("felix_resyncs_started", "Lists of the datastore that began.", [
      { value: counters.resyncs },
    ]),
    counter("felix_calc_graph_updates_processed", "Objects that came from the datastore.", [
      ...byType(counters.objects),
    ]),
    counter("felix_int_dataplane_messages", "Updates for the dataplane.", [
      ...byType(counters.updates),
    ]),
    counter("felix_calc_graph_output_events", "Updates for the dataplane, all.", [
      { value: [...counters.updates.values()].reduce((sum, count) => sum + count, 0) },
    ]),
    counter("felix_int_dataplane_failures", "Applies that left something undone.", [
      { value: counters.failures },
    ]),
    {
      name: "felix_int_dataplane_apply_time_seconds",
      help: "Time that applies took.",
      type: "summary",
      samples: [
        { suffix: "_sum", value: counters.applySeconds },
        { suffix: "_count", value: counters.applies },
      ],
    },
    ...tools.map((what) =>
      counter(`felix_iptables_${what}`, `iptables: ${what.replace("_", " ")}.`, [
        { value: counters.tools.get(what) ?? 0 },
      ]),
    ),
    ...(sizes === undefined ? [] : sizeMetrics(sizes)),
  ];
}

const tools = ["save_calls", "save_errors", "restore_calls", "restore_errors"] as const;

function sizeMetrics({ local, cluster, tables, sets }: FelixSizes): Metric[] {
  const ofTables = (what: "chains" | "rules") =>
    tables.map(({ table, family, [what]: value }) => ({
      labels: { ip_version: `${family}`, table },
      value,
    }));
  return [
    gauge("felix_active_local_endpoints", "Endpoints of this node.", [{ value: local.endpoints }]),
    gauge("felix_active_local_policies", "Policies that endpoints of this node use.", [
      { value: local.policies },
    ]),
    ...Object.entries(cluster).map(([part, value]) =>
      gauge(`felix_cluster_num_${part}`, `The cluster's ${part.replace("_", " ")}.`, [{ value }]),
    ),
    gauge("felix_iptables_chains", "Chains of ours in the kernel.", ofTables("chains")),
    gauge("felix_iptables_rules", "Rules of ours in the kernel.", ofTables("rules")),
    gauge(
      "felix_ipsets_calico",
      "IP sets of ours.",
      sets.map(({ family, count }) => ({ labels: { ip_version: `${family}` }, value: count })),
    ),
  ];
}

function byType(counts: ReadonlyMap<string, number>): MetricSample[] {
  return [...counts].map(([type, value]) => ({ labels: { type }, value }));
}

function gauge(name: string, help: string, samples: readonly MetricSample[]): Metric {
  return { name, help, type: "gauge", samples };
}

function counter(name: string, help: string, samples: readonly MetricSample[]): Metric {
  return { name, help, type: "counter", samples };
}
