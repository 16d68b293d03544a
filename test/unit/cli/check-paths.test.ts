import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, test } from "node:test";
import { checkPathsVerb } from "../../../src/cli/check-paths.ts";
import { runVerb } from "../../../src/cli/resource-command.ts";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { servePathChecks } from "../../../src/paths/control.ts";
import type { CheckRequest, PathReport } from "../../../src/paths/run-check.ts";
import { waitFor } from "../../support/wait-for.ts";

const folder = mkdtempSync(join(tmpdir(), "tortie-paths-"));
const stop = new AbortController();
const asked: CheckRequest[] = [];
let report: PathReport;
const serving = servePathChecks(
  join(folder, "paths.sock"),
  async (request) => {
    asked.push(request);
    return report;
  },
  stop.signal,
);
after(async () => {
  stop.abort();
  await serving;
  rmSync(folder, { recursive: true });
});

const path = {
  carrier: "vxlan",
  family: 4,
  source: parseIpAddr("10.1.0.1"),
  destination: parseIpAddr("10.3.0.1"),
  device: "vxlan.calico",
  mtu: 1450,
} as const;
const sound: PathReport = {
  node: "node1",
  began: "2026-01-01T00:00:00Z",
  seconds: 0.5,
  peers: [
    {
      node: "node3",
      asked: "answered",
      tunnels: { here: [] },
      paths: [
        {
          path,
          sent: 1,
          answered: 1,
          roundTripMs: 0.8,
          mtu: { there: { wanted: 1450, largest: 1450 }, back: { wanted: 1450, largest: 1300 } },
          megabitsPerSecond: 940.2,
        },
      ],
    },
  ],
  skipped: [],
  findings: [],
};

async function run(...argv: string[]) {
  let [stdout, stderr] = ["", ""];
  const io = {
    stdout: {
      write: (text: string) => {
        stdout += text;
      },
    },
    stderr: {
      write: (text: string) => {
        stderr += text;
      },
    },
    stdin: Readable.from([]),
    env: { TORTIE_RUN_DIR: folder },
  };
  const verb = { name: "node check-paths", verb: checkPathsVerb };
  const signal = new AbortController().signal;
  const code = await runVerb(verb, argv, io as never, { signal });
  return { code, stdout, stderr };
}

test("a sound report is a table, and exit code 0", async () => {
  report = sound;
  await waitFor(async () => (await run()).code === 0, { what: "the socket" });
  const { stdout } = await run();
  assert.match(stdout, /^1 node\(s\) probed from node1 in 0\.5 s: nothing is wrong\n/);
  assert.match(
    stdout,
    /^node3 +vxlan +vxlan\.calico +10\.3\.0\.1 +yes +0\.8 ms +1300 of 1450 +940 Mbit\/s$/m,
  );
  assert.deepEqual(asked.at(-1), { throughput: true, dryRun: false });
});

test("a problem is told with what to do, and is exit code 2; a hint alone is 0", async () => {
  const finding = {
    code: "filtered",
    from: "node1",
    to: "node3",
    text: "UDP 4789 is filtered",
    advice: "let it pass",
  } as const;
  report = { ...sound, findings: [{ ...finding, severity: "problem" }] };
  const { code, stdout } = await run();
  assert.equal(code, 2);
  assert.match(stdout, /1 problem\n\nPROBLEM: UDP 4789 is filtered\n {2}do: let it pass\n/);
  report = { ...sound, findings: [{ ...finding, severity: "hint" }] };
  assert.equal((await run()).code, 0);
});

test("nodes, sample and switches go to felix; a named node that is not probed is exit code 1", async () => {
  report = { ...sound, skipped: [{ node: "node9", reason: "there is no such node" }] };
  const { code, stdout } = await run("node3", "node9", "--no-throughput");
  assert.equal(code, 1);
  assert.match(stdout, /not probed: node9: there is no such node\n/);
  assert.deepEqual(asked.at(-1), { nodes: ["node3", "node9"], throughput: false, dryRun: false });
  assert.equal((await run("--sample=3", "--dry-run")).code, 0);
  assert.deepEqual(asked.at(-1), { samplePeers: 3, throughput: true, dryRun: true });
});

test("a plan is a table; -o json is the whole report", async () => {
  report = { ...sound, peers: [], plan: [{ node: "node3", paths: [path] }] };
  assert.match(
    (await run("--dry-run")).stdout,
    /^node3 +vxlan +vxlan\.calico +10\.1\.0\.1 +10\.3\.0\.1 +1450$/m,
  );
  report = { ...sound, peers: [], plan: [] };
  assert.equal((await run("--dry-run")).stdout, "node1 would probe nothing\n");
  assert.deepEqual(JSON.parse((await run("-o", "json")).stdout), report);
});

const refused: readonly (readonly [argv: readonly string[], words: RegExp])[] = [
  [["-o", "yaml"], /Cannot write "yaml": -o must be text or json/],
  [["--sample=0"], /Cannot accept --sample 0: it must be 1 to 100/],
  [["--sample=3", "node3"], /Cannot accept --sample with NODE/],
  [["--socket=/nowhere"], /Cannot reach felix at \/nowhere \(.*pathChecks Enabled/],
];
for (const [argv, words] of refused) {
  test(`${argv.join(" ")} is refused in one line`, async () => {
    const { code, stderr } = await run(...argv);
    assert.equal(code, 1);
    assert.match(stderr, words);
    assert.equal(stderr.trim().split("\n").length, 1);
  });
}
