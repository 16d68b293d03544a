import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { Readable } from "node:stream";
import { test } from "node:test";
import { runResourceCommand } from "../../../src/cli/resource-command.ts";

let script = "";
await runResourceCommand(["completion", "bash"], {
  stdout: { write: (text) => (script += text) },
  stderr: process.stderr,
  stdin: Readable.from([]),
  env: {},
});

/** What bash offers for the last of these words. */
function complete(...words: string[]): string[] {
  const quoted = words.map((word) => `'${word}'`).join(" ");
  const ask = `${script}
COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; _tortie; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync("bash", ["-uc", ask], { encoding: "utf8" }).trim().split("\n");
}

test("bash completes verbs, kinds and options", () => {
  assert.deepEqual(complete("tortie", "app"), ["apply"]);
  assert.deepEqual(complete("tortie", "get", "ipp"), ["ippool"]);
  assert.deepEqual(complete("tortie", "delete", "global"), [
    "globalnetworkpolicy",
    "globalnetworkset",
  ]);
  assert.deepEqual(complete("tortie", "get", "ippool", "--exp"), ["--export"]);
  assert.deepEqual(complete("tortie", "get", "ippool", "-o", "y"), ["yaml"]);
  assert.deepEqual(complete("tortie", "patch", "ippool", "a", "-t", ""), [
    "strategic",
    "merge",
    "json",
  ]);
  assert.deepEqual(complete("tortie", "bgp", "why"), ["why", "why-not"]);
  assert.deepEqual(complete("tortie", "bgp", "shutdown", "--mes"), ["--message"]);
  assert.deepEqual(complete("tortie", "node", "c"), ["check-paths", "cleanup"]);
  assert.deepEqual(complete("tortie", "take"), ["takeover"]);
  assert.deepEqual(complete("tortie", "takeover", ""), ["check"]);
  assert.deepEqual(complete("tortie", "takeover", "check", "--o"), ["--output"]);
  assert.deepEqual(complete("tortie", "controllers", ""), ["status"]);
  assert.deepEqual(complete("tortie", "controllers", "status", "--r"), ["--ready"]);
  assert.deepEqual(complete("tortie", "node", "check-paths", "--no"), ["--no-throughput"]);
  assert.deepEqual(complete("tortie", "ipam", "re"), ["release"]);
  assert.deepEqual(complete("tortie", "datastore", ""), ["migrate"]);
  assert.deepEqual(complete("tortie", "datastore", "migrate", "im"), ["import"]);
  assert.deepEqual(complete("tortie", "datastore", "migrate", "import", "--dry"), ["--dry-run"]);
  assert.deepEqual(complete("tortie", "apply", "ipp"), [""]);
  assert.deepEqual(complete("tortie", "lab", ""), [""]);
});
