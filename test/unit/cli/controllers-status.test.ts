import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runControllersStatus } from "../../../src/cli/controllers-status.ts";

test("controllers status says who works, and how route reflectors are", () => {
  const folder = mkdtempSync(join(tmpdir(), "tt-status-"));
  const file = join(folder, "status.json");
  let out = "";
  const io = {
    env: { TORTIE_STATUS_FILE: file },
    stdout: { write: (text: string) => (out += text) },
    stderr: { write: () => true },
  } as unknown as Parameters<typeof runControllersStatus>[1];
  const say = (status: object) => {
    out = "";
    writeFileSync(file, JSON.stringify({ time: "2026-01-01T00:00:00.000Z", ...status }));
    assert.equal(runControllersStatus([], io), 0);
    return out.split("\n").slice(1, -1);
  };
  const reflectors = { phase: "electing", reason: "n7 has no session with n3", uncovered: 1 };
  try {
    assert.deepEqual(
      say({
        ...{ ready: true, reason: "", isLeading: true },
        reflectors: { ...reflectors, reflectors: ["n3", "n8"] },
      }),
      [
        "Datastore: answers",
        "Controllers: at work",
        "Route reflectors: electing: n7 has no session with n3",
        "Elected: n3, n8",
        "Nodes without a session with any: 1",
      ],
    );
    assert.deepEqual(say({ ready: false, reason: "no answer", isLeading: false }), [
      "Datastore: no answer",
      "Controllers: waiting, as another process has the lease",
      "Route reflectors: not known here",
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
