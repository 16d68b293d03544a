import type { SyncStatus } from "../../datastore/syncer.ts";
import type { TableName } from "../../kernel/iptables/model.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { Metric, MetricSample } from "../../lib/metrics.ts";
import type { LabelIndexSizes } from "../calc/label-index.ts";
import type { FelixCounters, Spent } from "./felix-counters.ts";

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
  readonly routes: readonly {
    readonly family: IpFamily;
    readonly count: number;
    /** To which they lead. */
    readonly interfaces: number;
  }[];
  readonly indexes: readonly LabelIndexSizes[];
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
      { value: sum([...counters.updates.values()]) },
    ]),
    counter("felix_int_dataplane_failures", "Applies that left something undone.", [
      { value: counters.failures },
    ]),
    ...timeMetrics(counters),
    counter("felix_denied_packets", "Packets that policy denied, as far as the kernel told.", [
      ...counters.deniedPackets.values().map(({ labels, count }) => ({
        labels: { ...labels },
        value: count,
      })),
    ]),
    counter("felix_iptables_lines_executed", "Lines given to iptables-restore.", [
      { value: counters.restoreLines },
    ]),
    ...tools.map((what) =>
      counter(`felix_iptables_${what}`, `iptables: ${what.replace("_", " ")}.`, [
        { value: counters.tools.get(what) ?? 0 },
      ]),
    ),
    ...(sizes === undefined ? [] : sizeMetrics(sizes)),
  ];
}

function timeMetrics(counters: FelixCounters): Metric[] {
  const { applies, firstApplies, calculations, programs } = counters;
  return [
    summary("felix_int_dataplane_apply_time_seconds", "Time that applies took.", applies),
    summary(
      "felix_int_dataplane_initial_resync_time_seconds",
      "Time until the kernel was right for the first time.",
      firstApplies,
    ),
    summary("felix_calc_graph_update_time_seconds", "Time that calculations took.", calculations),
    summary("felix_exec_time_micros", "Time that programs took.", programs, 1000),
  ];
}

const tools = ["save_calls", "save_errors", "restore_calls", "restore_errors"] as const;

function sizeMetrics({ local, cluster, tables, sets, routes, indexes }: FelixSizes): Metric[] {
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
    gauge("felix_ipsets_total", "IP sets of ours, of both families.", [
      { value: sum(sets.map(({ count }) => count)) },
    ]),
    gauge(
      "felix_route_table_num_routes",
      "Routes of ours.",
      routes.map(({ family, count }) => ({ labels: { ip_version: `${family}` }, value: count })),
    ),
    gauge(
      "felix_route_table_num_ifaces",
      "Interfaces to which routes of ours lead.",
      routes.map(({ family, interfaces }) => ({
        labels: { ip_version: `${family}` },
        value: interfaces,
      })),
    ),
    ...indexMetrics(indexes),
  ];
}

function indexMetrics(indexes: readonly LabelIndexSizes[]): Metric[] {
  const selectors = (optimized: boolean) => ({
    labels: { optimized: `${optimized}` },
    value: sum(indexes.map(({ anchored, unanchored }) => (optimized ? anchored : unanchored))),
  });
  return [
    gauge("felix_label_index_num_active_selectors", "Selectors of policies and IP sets in use.", [
      selectors(true),
      selectors(false),
    ]),
    gauge("felix_label_index_num_endpoints", "Endpoints and network sets that selectors see.", [
      { value: Math.max(0, ...indexes.map(({ items }) => items)) },
    ]),
    counter("felix_label_index_selector_evals", "Selectors that were evaluated.", [
      { value: sum(indexes.map(({ evaluations }) => evaluations)) },
    ]),
  ];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** `unitsPerMs`: of what the metric counts in. */
function summary(name: string, help: string, { count, ms }: Spent, unitsPerMs = 0.001): Metric {
  const samples: MetricSample[] = [
    { suffix: "_sum", value: ms * unitsPerMs },
    { suffix: "_count", value: count },
  ];
  return { name, help, type: "summary", samples };
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
