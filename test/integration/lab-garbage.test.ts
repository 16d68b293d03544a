import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { TestLab } from "../support/lab.ts";
import { collectSoon, labUp, podsComeAndGo, untilNothingIsWrong } from "./lab-churn.ts";

describe("tortie controllers in a lab", () => {
  const lab = new TestLab("g");

  before(() => labUp(lab));
  after(() => lab.down());

  test("pods that come and go while felix is killed leave nothing, and no address twice", () =>
    podsComeAndGo(lab, { pods: 24, atOnce: 24, podsPerKill: 6 }));

  test("a pod that vanished without a word is found, and its address given back", async () => {
    await collectSoon(lab);
    const [, node] = (await lab.status()).nodes;
    await lab.mustLab("pod", "add", node?.name ?? "", "lost");
    const { stdout } = await lab.cli(["get", "workloadendpoints", "-o", "json"]);
    const [endpoint] = (JSON.parse(stdout) as { items: { metadata: { name: string } }[] }).items;
    await lab.cli(["delete", "workloadendpoint", endpoint?.metadata.name ?? assert.fail("none")]);
    const { code, stdout: found } = await lab.cli(["ipam", "check", "--show-problem-ips"]);
    assert.equal(code, 1, found);
    assert.match(found, /nobody uses it/);
    await untilNothingIsWrong(lab, "the release of the leak");
  });
});
