import assert from "node:assert/strict";
import { test } from "node:test";
import type { WorkloadEndpoint } from "../../../../src/api/resources/workload-endpoint.ts";
import { PolicyGraph } from "../../../../src/felix/calc/policy-graph.ts";
import type { DataplaneUpdate } from "../../../../src/felix/calc/updates.ts";
import { unlimited } from "../../../../src/lib/time-slice.ts";
import { me, pod } from "../../../states/resources.ts";

const id = "prod/a";
const endpoint = (ip: string, label = "a"): WorkloadEndpoint =>
  pod("node--a-k8s-a-eth0", { ip, labels: { app: label }, pod: "a" });

test("PolicyGraph tells of an endpoint only when something of it changed", () => {
  const updates: DataplaneUpdate[] = [];
  const graph = new PolicyGraph(me, (update) => updates.push(update));
  const told = (next: WorkloadEndpoint | null) => {
    updates.length = 0;
    graph.setEndpoint(id, next);
    graph.work(unlimited);
    graph.flush();
    return updates.flatMap(({ op, kind }) => (kind === "workloadEndpoint" ? [op] : []));
  };
  assert.deepEqual(told(endpoint("10.0.0.1/32")), ["set"]);
  assert.deepEqual(told(endpoint("10.0.0.1/32")), [], "as the datastore repeats it");
  assert.deepEqual(told(endpoint("10.0.0.1/32", "b")), [], "no policy looks at the label");
  assert.deepEqual(told(endpoint("10.0.0.2/32")), ["set"]);
  assert.deepEqual(told(endpoint("10.0.0.1/32")), ["set"]);
  assert.deepEqual(told(null), ["remove"]);
  assert.deepEqual(told(endpoint("10.0.0.1/32")), ["set"]);
});
