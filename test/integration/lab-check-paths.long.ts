import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Node } from "../../src/api/resources/node.ts";
import { TestLab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";

/** Path checks that nodes make by themselves: condition of the Node, metrics. */

const lab = new TestLab("cpl", {
  FELIX_PATHCHECKS: "Enabled",
  FELIX_PATHCHECKINTERVAL: "1s",
  FELIX_PROMETHEUSMETRICSENABLED: "true",
  FELIX_PROMETHEUSMETRICSHOST: "127.0.0.1",
});

before(() => lab.mustLab("up", "--encapsulation", "VXLAN", "--pods", "0"));
after(() => lab.down());

async function node1(): Promise<Node> {
  return JSON.parse((await lab.cli(["get", "node", "node1", "-o", "json"])).stdout) as Node;
}

async function conditionIs(status: "True" | "False") {
  return waitFor(
    async () => {
      const condition = (await node1()).status?.conditions?.[0];
      return condition?.status === status ? condition : undefined;
    },
    { timeoutMs: 60_000, what: `CalicoPathHealthy ${status}` },
  );
}

test("a filtered UDP 4789 is in the Node's condition and in felix' metrics, and goes again", async () => {
  assert.equal((await conditionIs("True")).type, "CalicoPathHealthy");
  const { router, nodes } = await lab.status();
  const rule = ["FORWARD", "-p", "udp", "--dport", "4789", "-j", "DROP"];
  await lab.inside(router, "iptables", "-I", ...rule);
  const { message, reason } = await conditionIs("False");
  assert.match(message, /UDP 4789 is filtered between node1 and node3/);
  assert.equal(reason, "Filtered");
  const { netns = "" } = nodes.find(({ name }) => name === "node1") ?? {};
  const ask =
    "exec 3<>/dev/tcp/127.0.0.1/9091; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
  const metrics = await lab.inside(netns, "bash", "-c", ask);
  assert.match(metrics, /^felix_path_healthy\{path="vxlan"\} 0$/m);
  assert.match(metrics, /^felix_path_healthy\{path="underlay"\} 1$/m);
  await lab.inside(router, "iptables", "-D", ...rule);
  await conditionIs("True");
});
