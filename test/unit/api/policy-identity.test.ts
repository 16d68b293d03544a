import { strict as assert } from "node:assert";
import { test } from "node:test";
import { isKubernetesPolicy, policyIdentity } from "../../../src/api/policy-identity.ts";
import { globalPolicy, policy } from "../../states/resources.ts";

const rows = [
  [policy("a", {}), "np/prod/a", "a"],
  [policy("knp.default.a", {}), "knp/prod/a", "a"],
  [globalPolicy("a", {}), "gnp/a", "a"],
  [globalPolicy("kcnp.a", {}), "gnp/kcnp.a", "kcnp.a"],
  [globalPolicy("kcnp.default.a", {}), "kcnp/a", "a"],
] as const;

for (const [of, id, name] of rows) {
  test(`policyIdentity() of ${of.kind} ${of.metadata.name} is ${id}`, () => {
    const identity = policyIdentity(of);
    assert.deepEqual([identity.id, identity.name, identity.tier], [id, name, "default"]);
  });
}

test("isKubernetesPolicy() knows a prefix of each kind", () => {
  const wanted = new Set(["knp/prod/a", "kcnp/a"]);
  for (const [of, id] of rows) {
    const key = { kind: of.kind, name: of.metadata.name };
    assert.equal(isKubernetesPolicy(key), wanted.has(id), id);
  }
  assert.equal(isKubernetesPolicy({ kind: "GlobalNetworkPolicy", name: "knp.default.a" }), false);
});
