import assert from "node:assert/strict";
import { test } from "node:test";
import { profileText } from "../../../bench/bgp/probe/profile-text.ts";

const frame = (functionName: string) => ({
  functionName,
  url: "file:///x/src/a.ts",
  lineNumber: 6,
});

test("profileText() adds own times, and counts a function that calls itself once", () => {
  const profile = {
    nodes: [
      { id: 1, callFrame: frame("walk"), children: [2] },
      { id: 2, callFrame: frame("walk"), children: [3] },
      { id: 3, callFrame: frame("leaf") },
    ],
    samples: [1, 2, 3],
    timeDeltas: [1000, 2000, 1000],
  };
  const text = profileText("row", profile, [1.5, 2.5]);
  assert.match(text, /^row: 4 ms, 2 pauses of GC, 4\.0 ms in all, the longest 2\.5 ms\n/);
  const [self = "", total = ""] = text.split("\ntotal\n");
  assert.match(self, / 3\.0 ms {2}75\.0 % walk src\/a\.ts:7\n +1\.0 ms {2}25\.0 % leaf/);
  assert.match(total, / 4\.0 ms 100\.0 % walk src\/a\.ts:7\n/);
});
