interface Panel {
  readonly title: string;
  /** PromQL, and what a line is called. */
  readonly queries: readonly (readonly [expression: string, legend: string])[];
  /** Of Grafana: "s", "bytes", "pps", "short". */
  readonly unit: string;
}

const panels: readonly Panel[] = [
  {
    title: "Nodes whose felix is in sync",
    unit: "short",
    queries: [
      ["count(felix_resync_state == 3)", "in sync"],
      ["count(felix_resync_state < 3)", "not in sync"],
    ],
  },
  {
    title: "BGP sessions by state",
    unit: "short",
    queries: [["sum by (status) (bgp_peers)", "{{status}}"]],
  },
  {
    title: "Time of an apply, mean",
    unit: "s",
    queries: [
      [
        "rate(felix_int_dataplane_apply_time_seconds_sum[5m]) / rate(felix_int_dataplane_apply_time_seconds_count[5m])",
        "{{instance}}",
      ],
    ],
  },
  {
    title: "Applies that left something undone",
    unit: "short",
    queries: [["rate(felix_int_dataplane_failures[5m])", "{{instance}}"]],
  },
  {
    title: "Packets that policy denied",
    unit: "pps",
    queries: [["topk(10, rate(felix_denied_packets[5m]))", "{{instance}} {{policy}}"]],
  },
  {
    title: "Endpoints and policies of a node",
    unit: "short",
    queries: [
      ["felix_active_local_endpoints", "endpoints {{instance}}"],
      ["felix_active_local_policies", "policies {{instance}}"],
    ],
  },
  {
    title: "Routes and prefixes",
    unit: "short",
    queries: [
      ["felix_route_table_num_routes", "felix {{instance}} IPv{{ip_version}}"],
      ["bgp_prefixes", "bgp {{instance}} {{ip_version}}"],
    ],
  },
  {
    title: "BGP sessions that ended, in 30 minutes",
    unit: "short",
    queries: [["increase(bgp_peer_flaps_total[30m])", "{{instance}} {{peer}}"]],
  },
  {
    title: "Resident memory",
    unit: "bytes",
    queries: [
      ["process_resident_memory_bytes and on (instance) felix_host", "felix {{instance}}"],
      ["process_resident_memory_bytes and on (instance) bgp_converged", "bgp {{instance}}"],
    ],
  },
  {
    title: "Event loop, 99th percentile of delays",
    unit: "s",
    queries: [["nodejs_eventloop_lag_p99_seconds", "{{instance}}"]],
  },
];

const columns = 2;
const [width, height] = [12, 8];

/** deploy/monitoring/dashboard.json: a Grafana dashboard, to be imported. */
export function dashboardText(): string {
  const dashboard = {
    title: "tortie",
    uid: "tortie",
    schemaVersion: 39,
    editable: true,
    refresh: "30s",
    time: { from: "now-3h", to: "now" },
    templating: {
      list: [{ name: "datasource", type: "datasource", query: "prometheus", label: "Prometheus" }],
    },
    panels: panels.map((panel, index) => panelOf(panel, index)),
  };
  return `${JSON.stringify(dashboard, undefined, 2)}\n`;
}

function panelOf({ title, queries, unit }: Panel, index: number): object {
  const datasource = { type: "prometheus", uid: ["$", "{datasource}"].join("") };
  return {
    id: index + 1,
    type: "timeseries",
    title,
    datasource,
    gridPos: {
      x: (index % columns) * width,
      y: Math.floor(index / columns) * height,
      w: width,
      h: height,
    },
    fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
    options: { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi" } },
    targets: queries.map(([expr, legendFormat], query) => ({
      refId: String.fromCharCode(65 + query),
      datasource,
      expr,
      legendFormat,
    })),
  };
}
