import assert from "node:assert/strict";
import { test } from "node:test";
import { compare } from "../../support/differential.ts";

/** As differential.test.ts, 100,000 packets: about two minutes. */
const wanted = 100_000;

test("model and rendered rules say the same of 100,000 random packets", async (t) => {
  let [packets, clusters] = [0, 0];
  while (packets < wanted) {
    const run = await compare({ clusters: 100, packets: 200 });
    assert.equal(run.counterexample, undefined);
    packets += run.packets;
    clusters += run.clusters;
  }
  t.diagnostic(`${packets} packets in ${clusters} clusters`);
});

test("a wrong rule shrinks to a small manifest: few policies, one packet", async (t) => {
  const change = (text: string) => text.replaceAll("! --match-set", "--match-set");
  const { counterexample = "" } = await compare({ clusters: 200, packets: 50, seed: 1, change });
  t.diagnostic(counterexample);
  assert.ok((counterexample.match(/^kind: .*Policy$/gm)?.length ?? 9) <= 2);
  assert.equal(counterexample.match(/^model: /gm)?.length, 1);
});
