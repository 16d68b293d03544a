import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { cellKey } from "../../bench/bgp/results.ts";
import { rows } from "../../bench/bgp/rows.ts";
import { runBench } from "../../bench/bgp/run-bench.ts";
import { cannotMakeNetns } from "../support/netns.ts";

const row = {
  ...rows[0]!,
  id: "reflect-5",
  scenario: { kind: "reflector", clients: 5, each: 4 },
} as const;
const options = {
  runs: 1,
  rows: [row],
  targets: ["floor", "tortie"],
  tablePrefixes: 1,
  timeoutMs: 10_000,
  waitMs: 0,
  output: "table",
  writesDocument: false,
} as const;
const never = new AbortController().signal;
const namespaces = () => execFileSync("ip", ["netns", "list"], { encoding: "utf8" });

test("the bench measures tortie and the floor, and leaves nothing behind", {
  skip: cannotMakeNetns(),
}, async () => {
  const { lines } = await runBench(options, { signal: never, progress: () => undefined });
  for (const target of options.targets) {
    const [line] = lines.get(cellKey(row.id, target)) ?? [];
    assert.equal(line?.error, undefined);
    assert.ok((line?.ms ?? 0) > 0, `${target} has a time`);
    assert.equal(line?.losses, 0);
  }
  assert.ok((lines.get(cellKey(row.id, "tortie"))?.[0]?.loopBlockMs ?? -1) >= 0);
  assert.doesNotMatch(namespaces(), new RegExp(`^bb-${process.pid}-`, "m"));
});

test("the bench stops where it is asked to, and leaves nothing behind", {
  skip: cannotMakeNetns(),
}, async () => {
  const stop = new AbortController();
  const work = runBench(options, {
    signal: stop.signal,
    progress: () => stop.abort(new Error("stopped")),
  });
  await assert.rejects(work, /stopped/);
  assert.doesNotMatch(namespaces(), new RegExp(`^bb-${process.pid}-`, "m"));
});
