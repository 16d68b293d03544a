import { strict as assert } from "node:assert";
import { test } from "node:test";
import { EndpointLabels } from "../../../../src/felix/calc/endpoint-labels.ts";
import { workloadSelectable } from "../../../../src/felix/calc/selectable.ts";
import { pod, profile } from "../../../states/resources.ts";

test("own labels win over those of profiles, an earlier profile over a later one", () => {
  const labels = new EndpointLabels();
  const given = { a: "own" };
  labels.setEndpoint(
    "e",
    workloadSelectable(
      pod("p", { ip: "10.0.0.1/32", labels: given, profiles: ["one", "two", "missing"] }),
    ),
  );
  labels.setProfile("two", profile("two", { labelsToApply: { a: "2", b: "2", c: "2" } }));
  labels.setProfile("one", profile("one", { labelsToApply: { a: "1", b: "1" } }));
  const seen = labels.labelsOf("e");
  assert.deepEqual([seen.get("a"), seen.get("b"), seen.get("c")], ["own", "1", "2"]);
  assert.equal(seen.get("constructor"), undefined);
  const each: string[] = [];
  seen.forEach((value, label) => {
    if (label.length === 1) each.push(`${label}=${value}`);
  });
  assert.deepEqual(each.sort(), ["a=own", "b=1", "c=2"]);

  labels.setProfile("one", profile("one", { labelsToApply: { b: "3" } }));
  assert.equal(seen.get("b"), "1");
  assert.equal(labels.labelsOf("e").get("b"), "3");
});

test("a profile tells which endpoints inherit from it, as they come and go", () => {
  const labels = new EndpointLabels();
  const inherits = () => [...labels.setProfile("one", profile("one"))].sort();
  labels.setEndpoint("a", workloadSelectable(pod("a", { ip: "10.0.0.1/32", profiles: ["one"] })));
  labels.setEndpoint(
    "b",
    workloadSelectable(pod("b", { ip: "10.0.0.2/32", profiles: ["two", "one"] })),
  );
  assert.deepEqual(inherits(), ["a", "b"]);
  labels.setEndpoint("b", workloadSelectable(pod("b", { ip: "10.0.0.2/32", profiles: ["two"] })));
  assert.deepEqual(inherits(), ["a"]);
  labels.setEndpoint("a", null);
  assert.deepEqual(inherits(), []);
  labels.labelsOf("a").forEach(() => {
    assert.fail("who is gone has no labels");
  });
});
