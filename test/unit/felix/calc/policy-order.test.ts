import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { policyIdentity } from "../../../../src/api/policy-identity.ts";
import type { Policy } from "../../../../src/felix/calc/policy-graph.ts";
import { endpointTiers, orderedPolicy } from "../../../../src/felix/calc/policy-order.ts";
import { globalPolicy, policy, tier } from "../../../states/resources.ts";

const ordered = (of: Policy) => orderedPolicy(of, policyIdentity(of));
const tiersOf = (...tiers: ReturnType<typeof tier>[]) =>
  new Map(tiers.map((one) => [one.metadata.name, one]));
const named = (name: string, tierName: string) => globalPolicy(name, { tier: tierName });
const both = ["Ingress", "Egress"] as const;

test("tiers that exist come first, by order, none last, then by name; the others drop", () => {
  const policies = ["missing-a", "late", "none-b", "early", "none-a", "zero", "missing-b"];
  const tiers = tiersOf(
    tier("late", { order: 20, defaultAction: "Pass" }),
    tier("early", { order: 10 }),
    tier("zero", { order: 0 }),
    tier("none-b", { defaultAction: "Pass" }),
    tier("none-a", { order: null as unknown as number }),
    tier("unused", { order: 1 }),
  );
  const result = endpointTiers(
    policies.map((name) => ordered(named(name, name))),
    tiers,
  );
  assert.deepEqual(
    result.map(({ name, defaultAction }) => `${name} ${defaultAction}`),
    [
      "zero Deny",
      "early Deny",
      "late Pass",
      "none-a Deny",
      "none-b Pass",
      "missing-a Deny",
      "missing-b Deny",
    ],
  );
  assert.deepEqual(result.at(-1)?.ingress, ["gnp/missing-b"]);
});

const inOrder: readonly Policy[] = [
  globalPolicy("negative", { order: -1, types: both }),
  globalPolicy("zero", { order: 0, types: both }),
  globalPolicy("half", { order: 0.5, types: both }),
  // Ties: by name, then namespace (a global policy has none), then kind.
  globalPolicy("a", { order: 10, types: both }),
  policy("a", { order: 10, types: both }, "x"),
  policy("a", { order: 10, types: both }, "y"),
  globalPolicy("b", { order: 10, types: both }),
  globalPolicy("last-a", { types: both }),
  policy("last-b", { order: null as unknown as number, types: both }),
];

test("policies come by order, none last, ties by name, namespace and kind, however they arrive", () => {
  const expected = inOrder.map((of) => policyIdentity(of).id);
  fc.assert(
    fc.property(fc.shuffledSubarray([...inOrder], { minLength: inOrder.length }), (shuffled) => {
      const [only] = endpointTiers(shuffled.map(ordered), tiersOf(tier("default", {})));
      assert.deepEqual(only?.ingress, expected);
      assert.deepEqual(only?.egress, expected);
    }),
  );
});

const allow = [{ action: "Allow" }] as const;
const directions: readonly (readonly [string, object, string])[] = [
  ["neither types nor rules", {}, "ingress"],
  ["ingress rules", { ingress: allow }, "ingress"],
  ["egress rules", { egress: allow }, "egress"],
  ["both rules", { ingress: allow, egress: allow }, "ingress egress"],
  ["types against rules", { types: ["Ingress"], egress: allow }, "ingress"],
  ["empty types", { types: [], egress: allow }, "egress"],
];

for (const [what, spec, expected] of directions) {
  test(`a policy with ${what} is for ${expected}`, () => {
    const [only] = endpointTiers([ordered(globalPolicy("p", spec))], new Map());
    const given = [only?.ingress.length && "ingress", only?.egress.length && "egress"];
    assert.equal(given.filter(Boolean).join(" "), expected);
  });
}

test("an endpoint without policies has no tiers", () => {
  assert.deepEqual(endpointTiers([], tiersOf(tier("default", { order: 1 }))), []);
});
