import assert from "node:assert/strict";
import { test } from "node:test";
import { compare } from "../../support/differential.ts";
import { wrongRules } from "../../support/iptables/wrong-rules.ts";

/** As differential.test.ts, 100,000 packets: about two minutes. */
const wanted = 100_000;
const decisions = new Set<string>();

test("model and rendered rules say the same of 100,000 random packets", async (t) => {
  let [packets, clusters] = [0, 0];
  while (packets < wanted) {
    const run = await compare({ clusters: 100, packets: 200 });
    assert.equal(run.counterexample, undefined);
    packets += run.packets;
    clusters += run.clusters;
    for (const kind of run.decisions.keys()) decisions.add(kind);
  }
  t.diagnostic(`${packets} packets in ${clusters} clusters`);
});

for (const { name, change } of wrongRules) {
  test(`a wrong rule shrinks to a small manifest: ${name}`, async (t) => {
    const { counterexample = "" } = await compare({ clusters: 300, packets: 50, seed: 1, change });
    t.diagnostic(counterexample);
    assert.ok((counterexample.match(/^kind: .*Policy$/gm)?.length ?? 0) <= 2);
    assert.equal(counterexample.match(/^model: /gm)?.length, 1);
  });
}

test("every place of a host endpoint has decided", () => {
  const places = ["untracked", "preDNAT", "normal", "forward"];
  const seen = [...decisions].filter((kind) => kind.startsWith("host "));
  assert.deepEqual(
    places.filter((place) => seen.every((kind) => kind.split(" ")[1] !== place)),
    [],
  );
});
