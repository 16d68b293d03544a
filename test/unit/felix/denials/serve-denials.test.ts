import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { askControl } from "../../../../src/cli/control-client.ts";
import { runResourceCommand } from "../../../../src/cli/resource-command.ts";
import { serveDenials } from "../../../../src/felix/denials/serve-denials.ts";
import { LogTail } from "../../../../src/lib/log-tail.ts";
import { waitFor } from "../../../support/wait-for.ts";

const folder = mkdtempSync(join(tmpdir(), "tt-denials-"));
const path = join(folder, "felix.sock");
const tail = new LogTail();
const stop = new AbortController();
let served: Promise<void>;

before(async () => {
  served = serveDenials(path, tail, stop.signal);
  await waitFor(() => statSync(path, { throwIfNoEntry: false }) !== undefined);
});
after(async () => {
  stop.abort();
  await served;
  rmSync(folder, { recursive: true });
});

const denial = {
  time: "2026-01-02T03:04:05.678Z",
  direction: "egress",
  by: "no profile",
  source: "10.0.0.1",
  destination: "10.0.0.2",
  protocol: "icmp",
  icmp: { type: 8, code: 0 },
  suppressed: 0,
};

async function run(...argv: readonly string[]): Promise<{ code: number; output: string }> {
  let output = "";
  const stdout = { write: (part: string) => (output += part) };
  const io = { stdout, stderr: stdout, stdin: Readable.from([]), env: { TORTIE_RUN_DIR: folder } };
  const code = await runResourceCommand(["policy", ...argv], io);
  return { code, output };
}

async function policy(...argv: readonly string[]): Promise<string> {
  const { code, output } = await run(...argv);
  assert.equal(code, 0);
  return output;
}

test("tortie policy denials prints the last ones, as text and as JSON", async () => {
  assert.equal(await policy("denials"), "");
  tail.write(JSON.stringify(denial));
  assert.equal(
    await policy("denials"),
    "2026-01-02T03:04:05.678Z 10.0.0.1 -> 10.0.0.2 icmp 8/0: egress: no profile allows it\n",
  );
  assert.deepEqual(JSON.parse(await policy("denials", "-o", "json")), denial);
});

test("who follows is told of what comes", async () => {
  const enough = new AbortController();
  const rows: unknown[] = [];
  const request = { request: "denials", follow: true } as const;
  // Again and again: the first of them may be among the last ones already.
  const next = { ...denial, suppressed: 5 };
  const writing = setInterval(() => tail.write(JSON.stringify(next)), 10);
  try {
    for await (const row of askControl(path, request, { signal: enough.signal })) {
      rows.push(row);
      if (rows.length > 20) enough.abort();
    }
  } finally {
    clearInterval(writing);
  }
  assert.deepEqual(rows.at(-1), next);
});

test("what is no request is refused, and where nobody answers a hint is given", async () => {
  const socket = connect(path);
  socket.end("status\n");
  assert.match(await text(socket), /^\{"error":"Cannot answer \\"status\\""\}\n$/);
  const { code, output } = await run("denials", "--socket", "/nowhere");
  assert.equal(code, 1);
  assert.match(output, /Cannot reach felix at \/nowhere \(.*policyDenialLogs Enabled/);
});
