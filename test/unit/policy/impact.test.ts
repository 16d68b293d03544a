import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import type { AnyResource } from "../../../src/api/resource-of-kind.ts";
import { policyCluster } from "../../../src/policy/cluster.ts";
import { flowEnd, flowPacket, flowPort, podName } from "../../../src/policy/flow.ts";
import { impact, withChanges } from "../../../src/policy/impact.ts";
import { PolicyModel } from "../../../src/policy/model.ts";
import { arbitraryCase } from "../../support/arbitrary-cluster/arbitrary-case.ts";
import { packetsOf } from "../../support/arbitrary-cluster/packets.ts";

const ports = ["80/tcp", "443/tcp", "8080/tcp", "5353/udp", "icmp", "47111/tcp"];

/** Every pair of pods, one by one. */
function byHand(before: readonly AnyResource[], after: readonly AnyResource[]): string[] {
  const [old, young] = [before, after].map(
    (resources) => new PolicyModel(policyCluster(resources)),
  );
  const cluster = policyCluster(after);
  const names = cluster.endpoints.map(podName);
  const verdict = (model: PolicyModel | undefined, from: string, to: string, port: string) =>
    model?.judge(flowPacket(flowEnd(from, cluster), flowEnd(to, cluster), flowPort(port))).allowed;
  return names.flatMap((from) =>
    names
      .filter((to) => to !== from)
      .flatMap((to) =>
        ports
          .filter((port) => verdict(old, from, to, port) !== verdict(young, from, to, port))
          .map((port) => `${from} ${to} ${port}`),
      ),
  );
}

test("impact() tells what judging every pair tells, though it judges like pods once", () => {
  let changed = 0;
  fc.assert(
    fc.property(
      arbitraryCase(packetsOf(1)),
      fc.array(fc.nat({ max: 10 })),
      ({ resources }, picks) => {
        const policies = resources.filter(({ kind }) => kind.endsWith("NetworkPolicy"));
        const applied = policies.filter((_, index) => picks.includes(index));
        const before = resources.filter((one) => !applied.includes(one));
        const after = withChanges(before, applied);
        const flows = [...impact(before, after, ports.map(flowPort))].filter(
          ({ from, to }) => from !== "outside" && to !== "outside",
        );
        const told = flows.map(({ from, to, port }) => `${from} ${to} ${port}`);
        const expected = byHand(before, after);
        changed += expected.length;
        assert.deepEqual(told.sort(), expected.sort());
      },
    ),
    { numRuns: 25 },
  );
  assert.ok(changed > 0);
});
