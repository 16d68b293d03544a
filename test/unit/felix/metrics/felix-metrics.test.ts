import assert from "node:assert/strict";
import { test } from "node:test";
import { keyOf } from "../../../../src/api/resource-key.ts";
import type { AnyResource } from "../../../../src/api/resource-of-kind.ts";
import { CalcGraph } from "../../../../src/felix/calc/calc-graph.ts";
import { FelixCounters } from "../../../../src/felix/metrics/felix-counters.ts";
import { felixMetrics } from "../../../../src/felix/metrics/felix-metrics.ts";
import type { ExecHelper } from "../../../../src/kernel/exec-helper.ts";
import { metricsText } from "../../../../src/lib/metrics.ts";
import {
  block,
  globalPolicy,
  hostEndpoint,
  networkSet,
  node,
  pod,
  policy,
  pool,
  profile,
  tier,
} from "../../../states/resources.ts";
import { FelixState } from "../../../support/felix-state.ts";
import { parsePrometheusText } from "../../../support/prometheus-text.ts";

const cluster: readonly AnyResource[] = [
  node("node-a", "192.168.1.11/24"),
  node("node-b", "192.168.1.12/24"),
  pool("vxlan", "10.0.0.0/16", { vxlanMode: "Always" }),
  block("10.0.0.0/29", "node-a", { 0: "node-a" }),
  profile("kns.prod"),
  tier("first", { order: 1 }),
  networkSet("outside", ["203.0.113.0/24"], { labels: { out: "side" } }),
  hostEndpoint("uplink", { node: "node-b", interfaceName: "eth0" }),
  pod("a", { ip: "10.0.0.1/32" }),
  pod("b", { ip: "10.0.0.2/32", node: "node-b" }),
  pod("c", { ip: "10.0.0.3/32", node: "node-b", namespace: "test" }),
  policy("used", { selector: "all()", ingress: [{ action: "Deny" }] }),
  globalPolicy("unused", { selector: "has(nothing)", ingress: [{ action: "Deny" }] }),
];

test("felixMetrics() has the names of Calico, and counts what there is", async () => {
  const counters = new FelixCounters();
  counters.datastoreStatus("resyncing");
  counters.datastoreStatus("in-sync");
  counters.count("Node", "objects");
  counters.count("route", "updates");
  counters.count("route", "updates");
  counters.applied(1500, false);
  counters.applied(500, true);
  counters.firstApplied(1500);
  counters.calculated(250);
  for (const policy of ["shop/web", "shop/web", ""]) {
    counters.denied({ direction: "ingress", tier: "default", policy });
  }
  const graph = new CalcGraph({ nodeName: "node-a" });
  graph.setInSync();
  for (const resource of cluster) graph.update(keyOf(resource), resource);
  graph.flush();
  const { local, indexes, hosts, policies, profiles, tiers, ...endpoints } = graph.sizes();
  const state = new FelixState({ ipv6Support: false }, cluster);
  await state.apply();
  const text = metricsText(
    felixMetrics("node-a", counters, {
      ...state.dataplane.sizes(),
      local,
      indexes,
      cluster: {
        hosts,
        policies,
        profiles,
        tiers,
        host_endpoints: endpoints.hostEndpoints,
        workload_endpoints: endpoints.workloadEndpoints,
      },
    }),
  );
  const values = new Map(
    parsePrometheusText(text).map(({ name, labels, value }) => [
      [name, ...Object.values(labels)].join(" "),
      value,
    ]),
  );
  const expected = {
    "felix_host node-a": 1,
    felix_resync_state: 3,
    felix_resyncs_started: 1,
    "felix_calc_graph_updates_processed Node": 1,
    "felix_int_dataplane_messages route": 2,
    felix_calc_graph_output_events: 2,
    felix_int_dataplane_failures: 1,
    felix_int_dataplane_apply_time_seconds_sum: 2,
    felix_int_dataplane_apply_time_seconds_count: 2,
    felix_int_dataplane_initial_resync_time_seconds_sum: 1.5,
    felix_calc_graph_update_time_seconds_sum: 0.25,
    "felix_denied_packets ingress default shop/web": 2,
    "felix_denied_packets ingress default ": 1,
    felix_label_index_num_endpoints: 5,
    "felix_label_index_num_active_selectors true": 2,
    "felix_label_index_num_active_selectors false": 0,
    "felix_route_table_num_routes 4": 1,
    "felix_route_table_num_ifaces 4": 1,
    felix_active_local_endpoints: 1,
    felix_active_local_policies: 1,
    felix_cluster_num_hosts: 2,
    felix_cluster_num_policies: 2,
    felix_cluster_num_profiles: 1,
    felix_cluster_num_tiers: 1,
    felix_cluster_num_host_endpoints: 1,
    felix_cluster_num_workload_endpoints: 3,
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(values.get(name), value, name);
  for (const table of ["raw", "mangle", "nat", "filter"]) {
    assert.ok((values.get(`felix_iptables_chains 4 ${table}`) ?? 0) > 3, table);
    assert.ok((values.get(`felix_iptables_rules 4 ${table}`) ?? 0) > 3, table);
  }
  assert.ok((values.get("felix_ipsets_calico 4") ?? 0) >= 4);
});

test("FelixCounters counts runs of iptables' tools, and those that fail", async () => {
  const counters = new FelixCounters();
  const codes = [0, 1, 0, 0];
  const exec = counters.counting({
    run: async () => ({ code: codes.shift() ?? 0, stdout: "", stderr: "" }),
    close: () => undefined,
  } as ExecHelper);
  await exec.run("iptables-nft-save", []);
  await exec.run("ip6tables-legacy-restore", []);
  await exec.run("iptables-restore", [], { stdin: "*filter\nCOMMIT\n" });
  await exec.run("conntrack", []);
  assert.deepEqual(Object.fromEntries(counters.tools), {
    save_calls: 1,
    restore_calls: 2,
    restore_errors: 1,
  });
  assert.equal(counters.restoreLines, 2);
  assert.equal(counters.programs.count, 4);
});
