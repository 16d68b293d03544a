import assert from "node:assert/strict";
import { test } from "node:test";
import type { CheckedFlow } from "../../../src/lab/check.ts";
import { matrixLegend, matrixText } from "../../../src/lab/matrix-text.ts";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";

const flow = (address: string, change: Partial<CheckedFlow> = {}): CheckedFlow => ({
  from: "node1/pod1",
  to: "node2/pod1",
  address: parseIpAddr(address),
  protocol: "TCP",
  port: 80,
  expected: true,
  because: "",
  reached: true,
  ...change,
});

test("matrixText() parts IPv4 from IPv6, each with what changed and what is wrong", () => {
  const v4 = [flow("10.244.0.1"), flow("10.244.0.1", { protocol: "UDP", reached: false })];
  const v6 = [flow("fd00::1"), flow("fd00::1", { protocol: "UDP", expected: false })];
  const report = { flows: [...v4, ...v6], mismatches: [] };
  const before = {
    flows: [...v4, ...v6.map((one) => ({ ...one, reached: false }))],
    mismatches: [],
  };
  const [, row = ""] = matrixText(report, { color: false }).split("\n");
  assert.equal(row, "node1/pod1  T .! | T U!");
  const [, changed = ""] = matrixText(report, { color: false, before }).split("\n");
  assert.equal(changed, "node1/pod1  T .! | T* U!*");
  assert.match(matrixLegend(report, false), /IPv4 \| IPv6/);
  assert.doesNotMatch(matrixLegend({ flows: v4, mismatches: [] }, false), /IPv6/);
});
