import assert from "node:assert/strict";
import { test } from "node:test";
import { profileText } from "../../../bench/bgp/probe/profile-text.ts";

const frame = (functionName: string, path = "src/a.ts") => ({
  functionName,
  url: `file:///x/${path}`,
  lineNumber: 6,
});

test("profileText() adds own times, counts a function that calls itself once and leaves the probe out", () => {
  const profile = {
    startTime: 1_000_000,
    nodes: [
      { id: 1, callFrame: frame("walk"), children: [2] },
      { id: 2, callFrame: frame("walk"), children: [3] },
      { id: 3, callFrame: frame("leaf") },
      { id: 4, callFrame: frame("begin", "bench/bgp/probe/profiler.ts"), children: [5] },
      { id: 5, callFrame: frame("post", "inspector.ts") },
    ],
    samples: [5, 1, 2, 3],
    timeDeltas: [9000, 1000, 2000, 1000],
  };
  const pauses = [1.5, 2.5].map((ms) => ({ kind: "minor GC", ms }));
  const longest = { workMs: 2.5, fromUs: 1_010_500, toUs: 1_012_500 };
  const text = profileText("row", { profile, pauses, longest });
  assert.match(text, /^row: 4 ms\nminor GC: 2 pauses, 4\.0 ms, longest 2\.5 ms\n\nself\n/);
  const [whole = "", work = ""] = text.split("\nlongest work between two timers: ");
  const [self = "", total = ""] = whole.split("\ntotal\n");
  assert.match(self, / 3\.0 ms {2}75\.0 % walk src\/a\.ts:7\n +1\.0 ms {2}25\.0 % leaf/);
  assert.match(total, / 4\.0 ms 100\.0 % walk src\/a\.ts:7\n/);
  assert.match(
    work,
    /^2\.5 ms of processor time\nself\n +2\.0 ms 100\.0 % walk src\/a\.ts:7\n\ntotal/,
  );
});
