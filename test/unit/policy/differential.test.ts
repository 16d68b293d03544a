import assert from "node:assert/strict";
import { test } from "node:test";
import { compare } from "../../support/differential.ts";

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

/** One wrong operator in the text that goes to iptables. */
const flipped: readonly (readonly [name: string, change: (text: string) => string])[] = [
  ["a port match", (text) => text.replaceAll("-m multiport --d", "-m multiport ! --d")],
  ["a negated set", (text) => text.replaceAll("! --match-set", "--match-set")],
  ["the side of a net", (text) => text.replaceAll("--source ", "--destination ")],
  ["pass for accept", (text) => text.replaceAll("0x20000/0x20000", "0x10000/0x10000")],
  ["the end of a tier", (text) => text.replaceAll(/.*End of tier.*\n/g, "")],
];

for (const [name, change] of flipped) {
  test(`a wrong rule is found: ${name}`, async () => {
    const run = await compare({ clusters: 100, packets: 100, seed: 1, shrink: false, change });
    assert.match(run.counterexample ?? "", /^model: /m);
  });
}
