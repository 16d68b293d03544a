import { strict as assert } from "node:assert";
import { test } from "node:test";
import { keyOf } from "../../../src/api/resource-key.ts";
import type { AnyResource } from "../../../src/api/resource-of-kind.ts";
import { CalcGraph } from "../../../src/felix/calc/calc-graph.ts";
import type { DataplaneUpdate } from "../../../src/felix/calc/updates.ts";
import { calculate } from "../../../src/felix/calculate.ts";
import type { Millis } from "../../../src/lib/clock.ts";
import type { Slice } from "../../../src/lib/time-slice.ts";
import { globalPolicy, me, pod, profile } from "../../states/resources.ts";

/** A clock by which every look takes a slice: each step of work has a turn of its own. */
function slowClock() {
  let now = 0;
  return {
    now: () => {
      now += 10;
      return now as Millis;
    },
  };
}

const tiersIn = (updates: readonly DataplaneUpdate[]) =>
  updates.flatMap((update) =>
    update.op === "set" && update.kind === "workloadEndpoint"
      ? [update.value.tiers.flatMap(({ ingress }) => ingress)]
      : [],
  );

const endpointsWith = (policyId: string, count: number) =>
  Array.from({ length: count }, () => [policyId]);

test("calculate() tells of all that came before it, to the end, and then of what came meanwhile", async () => {
  const graph = new CalcGraph({ nodeName: me });
  const put = (...resources: readonly AnyResource[]) => {
    for (const resource of resources) graph.update(keyOf(resource), resource);
  };
  graph.setInSync();
  for (let i = 0; i < 20; i++) put(pod(`p${i}`, { ip: `10.0.0.${i}/32` }));
  put(profile("kns.prod"), globalPolicy("early", { selector: "all()", types: ["Ingress"] }));
  let slices = 0;
  const busy = {
    begin: () => graph.begin(),
    work: (slice: Slice) => {
      put(pod(`late${slices++}`, { ip: "10.0.1.1/32" }));
      return graph.work(slice);
    },
    tell: () => graph.tell(),
  };
  const first = tiersIn(await calculate(busy, slowClock()));
  assert.ok(slices > 40, `${slices} slices`);
  assert.deepEqual(first, endpointsWith("gnp/early", 20));
  const second = tiersIn(await calculate(graph, slowClock()));
  assert.deepEqual(second, endpointsWith("gnp/early", slices));
});

test("calculate() tells nothing before the datastore is in sync", async () => {
  const graph = new CalcGraph({ nodeName: me });
  const web = pod("web", { ip: "10.0.0.1/32" });
  graph.update(keyOf(web), web);
  assert.deepEqual(await calculate(graph, slowClock()), []);
  graph.setInSync();
  assert.equal(tiersIn(await calculate(graph, slowClock())).length, 1);
});
