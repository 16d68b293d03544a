import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { TestLab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";

const grace = `
apiVersion: projectcalico.org/v3
kind: KubeControllersConfiguration
metadata: {name: default}
spec: {controllers: {node: {leakGracePeriod: 2s}}}
`;

describe("tortie controllers in a lab", () => {
  const lab = new TestLab("g");
  const pids = (node: string, name: string) =>
    Number.parseInt(
      readFileSync(join(lab.folder, lab.name, "nodes", node, "run", `${name}.pid`), "utf8"),
      10,
    );
  /** What those who cannot be removed say. */
  const allRemoved = async (node: string) => {
    const { pods } = await lab.status();
    const removed = await Promise.all(pods.map((pod) => lab.lab("pod", "rm", node, pod.name)));
    return removed.map(({ stderr }) => stderr).join("");
  };
  const nothingIsWrong = (what: string) =>
    waitFor(async () => (await lab.cli(["ipam", "check"])).code === 0, { timeoutMs: 60_000, what });

  before(async () => {
    await lab.mustLab(
      ...["up", "--encapsulation", "None", "--segments", "1", "--nodes", "2", "--pods", "0"],
    );
    await lab.apply(grace);
  });
  after(() => lab.down());

  test("pods that come and go while felix is killed leave nothing, and no address twice", async () => {
    const [node] = (await lab.status()).nodes;
    const name = node?.name ?? assert.fail("no node");
    const names = Array.from({ length: 24 }, (_, index) => `p${index}`);
    const adding = names.map((pod) => lab.lab("pod", "add", name, pod));
    const first = await Promise.race(adding);
    assert.equal(first.code, 0, first.stderr);
    process.kill(pids(name, "felix"), "SIGKILL");
    await Promise.all(adding);
    const { pods } = await lab.status();
    const addresses = pods.flatMap((pod) => pod.addresses);
    assert.equal(new Set(addresses).size, addresses.length);
    await waitFor(async () => (await allRemoved(name)) === "", { timeoutMs: 60_000, what: "DEL" });
    await nothingIsWrong("an end of all leaks");
  });

  test("a pod that vanished without a word is found, and its address given back", async () => {
    const [, node] = (await lab.status()).nodes;
    await lab.mustLab("pod", "add", node?.name ?? "", "lost");
    const { stdout } = await lab.cli(["get", "workloadendpoints", "-o", "json"]);
    const [endpoint] = (JSON.parse(stdout) as { items: { metadata: { name: string } }[] }).items;
    await lab.cli(["delete", "workloadendpoint", endpoint?.metadata.name ?? assert.fail("none")]);
    const { code, stdout: found } = await lab.cli(["ipam", "check", "--show-problem-ips"]);
    assert.equal(code, 1, found);
    assert.match(found, /nobody uses it/);
    await nothingIsWrong("the release of the leak");
  });
});
