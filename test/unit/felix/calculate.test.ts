import { strict as assert } from "node:assert";
import { test } from "node:test";
import { keyOf } from "../../../src/api/resource-key.ts";
import type { AnyResource } from "../../../src/api/resource-of-kind.ts";
import { CalcGraph } from "../../../src/felix/calc/calc-graph.ts";
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

test("calculate() tells nothing of a state in part: what comes between its slices is in it", async () => {
  const graph = new CalcGraph({ nodeName: me });
  const put = (resource: AnyResource) => graph.update(keyOf(resource), resource);
  graph.setInSync();
  for (let i = 0; i < 20; i++) put(pod(`p${i}`, { ip: `10.0.0.${i}/32` }));
  put(profile("kns.prod"));
  let slices = 0;
  const watched = {
    work: (slice: Slice) => {
      if (++slices === 30) put(globalPolicy("late", { selector: "all()", types: ["Ingress"] }));
      return graph.work(slice);
    },
    flush: () => graph.flush(),
  };
  const updates = await calculate(watched, slowClock());
  assert.ok(slices > 40, `${slices} slices`);
  const endpoints = updates.flatMap((update) =>
    update.op === "set" && update.kind === "workloadEndpoint" ? [update.value] : [],
  );
  assert.equal(endpoints.length, 20);
  for (const { tiers } of endpoints) {
    assert.deepEqual(
      tiers.flatMap(({ ingress }) => ingress),
      ["gnp/late"],
    );
  }
});
