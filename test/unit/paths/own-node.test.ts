import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node } from "../../../src/api/resources/node.ts";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { metricsText } from "../../../src/lib/metrics.ts";
import { pathMetrics } from "../../../src/paths/metrics.ts";
import {
  pathCondition,
  withCondition,
  withoutRuns,
  withPathKey,
} from "../../../src/paths/own-node.ts";
import type { PathReport } from "../../../src/paths/run-check.ts";

const [source, destination] = [parseIpAddr("10.1.0.1"), parseIpAddr("10.3.0.1")];
const path = (carrier: "underlay" | "vxlan") => ({
  path: { carrier, family: 4 as const, source, destination, device: "eth0", mtu: 1500 },
  sent: 1,
  answered: 1,
});
const finding = {
  from: "node1",
  to: "node3",
  path: "vxlan" as const,
  text: "UDP 4789 is filtered between node1 and node3",
  advice: "let it pass",
};
const report = (findings: PathReport["findings"]): PathReport => ({
  node: "node1",
  began: "2026-01-01T00:00:00Z",
  seconds: 1.5,
  peers: [
    {
      node: "node3",
      asked: "answered",
      tunnels: { here: [] },
      paths: [path("underlay"), path("vxlan")],
    },
  ],
  skipped: [],
  findings,
});
const broken = report([{ ...finding, code: "filtered", severity: "problem" }]);
const node: Node = {
  apiVersion: "projectcalico.org/v3",
  kind: "Node",
  metadata: { name: "node1" },
  spec: {},
};

test("problems make the condition False and say what they are; hints do not", () => {
  assert.deepEqual(pathCondition(broken, "then"), {
    type: "CalicoPathHealthy",
    status: "False",
    reason: "Filtered",
    message: "UDP 4789 is filtered between node1 and node3",
    lastTransitionTime: "then",
  });
  const hint = report([{ ...finding, code: "slow", severity: "hint" }]);
  const { status, reason } = pathCondition(hint, "then");
  assert.deepEqual([status, reason], ["True", "AllPathsSound"]);
});

test("a node is changed only by a condition that says something new", () => {
  const first = withCondition(node, pathCondition(broken, "then"));
  assert.equal(withCondition(first, pathCondition(broken, "later")), first);
  const again = withCondition(first, pathCondition(report([]), "later"));
  assert.deepEqual(
    again.status?.conditions?.map(({ status }) => status),
    ["True"],
  );
});

test("a problem with another node changes the message, and not the time since when it is so", () => {
  const first = withCondition(node, pathCondition(broken, "then"));
  const elsewhere = report([
    { ...finding, to: "node5", text: "of node5", code: "filtered", severity: "problem" },
  ]);
  const again = withCondition(first, pathCondition(elsewhere, "later"));
  assert.deepEqual(
    again.status?.conditions?.map(({ message, lastTransitionTime }) => [
      message,
      lastTransitionTime,
    ]),
    [["of node5", "then"]],
  );
});

test("what no run renews is Unknown, once; a node that was never checked is left alone", () => {
  assert.equal(withoutRuns(node, "now"), node);
  const checked = withCondition(node, pathCondition(broken, "then"));
  const left = withoutRuns(checked, "now");
  assert.deepEqual(
    left.status?.conditions?.map(({ status, reason }) => [status, reason]),
    [["Unknown", "NotChecked"]],
  );
  assert.equal(withoutRuns(left, "later"), left);
});

test("a key is written and taken away, and nothing else changes", () => {
  const keyed = withPathKey(node, "key");
  assert.equal(withPathKey(keyed, "key"), keyed);
  assert.equal(keyed.metadata.annotations?.["tortie.dev/path-check-key"], "key");
  assert.equal(withPathKey(node, undefined), node);
  assert.deepEqual(withPathKey(keyed, undefined).metadata.annotations, {});
});

test("metrics tell of each kind of path whether it is sound, and what was found", () => {
  const text = metricsText(pathMetrics(broken));
  assert.match(text, /^felix_path_healthy\{path="underlay"\} 1$/m);
  assert.match(text, /^felix_path_healthy\{path="vxlan"\} 0$/m);
  assert.match(text, /^felix_path_findings\{path="vxlan",code="filtered"\} 1$/m);
  assert.match(text, /^felix_path_peers\{result="answered"\} 1$/m);
  assert.match(text, /^felix_path_check_time_seconds 1\.5$/m);
  assert.deepEqual(pathMetrics(undefined), []);
});

test("metrics do not call a path sound that nothing answers on", () => {
  const silent = { ...path("underlay"), answered: 0 };
  const whole = report([
    { ...finding, path: undefined as never, code: "not-answering", severity: "problem" },
  ]);
  const [node3] = whole.peers;
  assert.ok(node3 !== undefined);
  const text = metricsText(pathMetrics({ ...whole, peers: [{ ...node3, paths: [silent] }] }));
  assert.match(text, /^felix_path_healthy\{path="underlay"\} 0$/m);
});
