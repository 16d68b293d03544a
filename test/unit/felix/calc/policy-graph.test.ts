import assert from "node:assert/strict";
import { test } from "node:test";
import type { WorkloadEndpoint } from "../../../../src/api/resources/workload-endpoint.ts";
import { PolicyGraph } from "../../../../src/felix/calc/policy-graph.ts";
import type { DataplaneUpdate } from "../../../../src/felix/calc/updates.ts";
import { unlimited } from "../../../../src/lib/time-slice.ts";
import { allowFrom, me, pod, policy, profile } from "../../../states/resources.ts";

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

test("PolicyGraph tells of a policy and a profile when they change, not when they select one more", () => {
  const updates: DataplaneUpdate[] = [];
  const graph = new PolicyGraph(me, (update) => updates.push(update));
  const told = (change: () => void) => {
    updates.length = 0;
    change();
    graph.flush();
    return updates.flatMap(({ op, kind }) =>
      kind === "policy" || kind === "profile" ? [`${op} ${kind}`] : [],
    );
  };
  const ours = (port: number) =>
    policy("p", { selector: "all()", ...allowFrom({ ports: [port] }) }, "prod");
  const pods = ["prod/a", "prod/b"].map(
    (name) => [name, pod(name, { ip: "10.0.0.1/32" })] as const,
  );
  const set = (index: number) => {
    const [name = "", value = null] = pods[index] ?? [];
    graph.setEndpoint(name, value);
  };
  const everything = ["set policy", "set profile"];
  graph.setPolicy("p", ours(80));
  graph.setProfile("kns.prod", profile("kns.prod"));
  assert.deepEqual(new Set(told(() => set(0))), new Set(everything));
  assert.deepEqual(
    told(() => set(1)),
    [],
  );
  assert.deepEqual(
    told(() => graph.setEndpoint("prod/a", null)),
    [],
  );
  assert.deepEqual(
    told(() => graph.setPolicy("p", ours(81))),
    ["set policy"],
  );
  assert.deepEqual(
    told(() => graph.setProfile("kns.prod", profile("kns.prod"))),
    ["set profile"],
  );
  assert.deepEqual(
    told(() => graph.setProfile("kns.prod", null)),
    ["set profile"],
  );
  assert.ok(
    told(() => graph.setEndpoint("prod/b", null)).every((text) => text.startsWith("remove")),
  );
  assert.ok(told(() => set(0)).includes("set policy"));
});
