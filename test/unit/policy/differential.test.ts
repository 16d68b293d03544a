import assert from "node:assert/strict";
import { test } from "node:test";
import { compare } from "../../support/differential.ts";
import { wrongRules } from "../../support/iptables/wrong-rules.ts";

/*
 * Two opinions on the same packets: the policy model, and calculation graph, renderer and interpreter of
 * the rendered text. 100,000 of them in differential.long.ts.
 */

test("model and rendered rules say the same of random packets in random clusters", async (t) => {
  const run = await compare({ clusters: 50, packets: 100 });
  assert.equal(run.counterexample, undefined);
  t.diagnostic(`${run.packets} packets in ${run.clusters} clusters`);
  // That they agree is worth something only where rules decide.
  assert.ok(
    (run.decisions.get("rule") ?? 0) > run.packets / 20,
    JSON.stringify([...run.decisions]),
  );
});

for (const { name, change } of wrongRules) {
  test(`a wrong rule is found: ${name}`, async () => {
    const run = await compare({ clusters: 200, packets: 100, seed: 1, shrink: false, change });
    assert.match(run.counterexample ?? "", /^model: /m);
  });
}
