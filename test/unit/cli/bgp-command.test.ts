import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, describe, test } from "node:test";
import { parse } from "yaml";
import { serveControl } from "../../../src/bgp/control/serve-control.ts";
import { runBgpQuery } from "../../../src/cli/bgp-command.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { LogTail } from "../../../src/lib/log-tail.ts";
import { pack } from "../../support/packed-prefixes.ts";
import { waitFor } from "../../support/wait-for.ts";
import { FakeRunning, secretNeighbor } from "../bgp/control/running.ts";

const folder = mkdtempSync(join(tmpdir(), "tt-bgp-"));
const path = join(folder, "bgp.sock");
const running = new FakeRunning([secretNeighbor, { address: "10.0.0.3", asn: 64512 }]);
const tail = new LogTail();
const stop = new AbortController();
let served: Promise<void>;

/** What the command writes. */
async function bgp(...argv: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const text = { stdout: "", stderr: "" };
  const stdout = { write: (part: string) => (text.stdout += part) };
  const stderr = { write: (part: string) => (text.stderr += part) };
  const io = { stdout, stderr, stdin: Readable.from([]), env: { TORTIE_RUN_DIR: folder } };
  assert.equal(await runBgpQuery(argv, io, AbortSignal.timeout(10_000)), 0);
  return text;
}

before(async () => {
  served = serveControl(path, { running, tail, clock: systemClock }, stop.signal);
  await waitFor(() => statSync(path, { throwIfNoEntry: false }) !== undefined);
  const prefixes = pack(...[0, 1, 2, 3, 4].map((i) => `10.65.${i}.0/24`));
  const announced = [{ prefixes, nextHop: "10.0.0.2" as never }];
  const attributes = { origin: 0, asPath: [], localPref: 100 } as const;
  const update = { kind: "update", withdrawn: [], announced, attributes, endOfRib: [] } as const;
  running.post({ kind: "peer", event: { kind: "update", name: "Static_10_0_0_2", update } });
});

after(async () => {
  stop.abort();
  await served;
  rmSync(folder, { recursive: true });
});

describe("tortie bgp", () => {
  test("peers as text, wide, JSON and YAML", async () => {
    assert.match(
      (await bgp("peers")).stdout,
      /^NAME +ADDRESS +AS +TYPE +STATE .*\nStatic_10_0_0_2 +10\.0\.0\.2 +64512 +Static +Established/,
    );
    assert.match((await bgp("peers", "-o", "wide")).stdout, /LAST ERROR.*\n.*Cease: "later"/);
    const lines = (await bgp("peers", "-o", "json")).stdout.trimEnd().split("\n");
    const [peer] = lines.map((line) => JSON.parse(line));
    assert.deepEqual([lines.length, peer.name, peer.received], [2, "Static_10_0_0_2", 5]);
    assert.deepEqual(
      parse((await bgp("peers", "-o", "yaml")).stdout),
      lines.map((line) => JSON.parse(line)),
    );
  });

  test("peer NAME tells state, last error, counters and what made it", async () => {
    const { stdout } = await bgp("peer", "Static_10_0_0_2");
    for (const told of [
      /^State: +Established since 2026/m,
      /^Last error: +Cease: "later"$/m,
      /^Password: +TCP-MD5$/m,
      /^Received: +3 OPEN, 7 UPDATE/m,
      /^Our capabilities: /m,
    ]) {
      assert.match(stdout, told);
    }
    assert.equal(parse((await bgp("peer", "Static_10_0_0_2", "-o", "yaml")).stdout).asn, 64512);
  });

  test("rib in pages has every route once", async () => {
    const shown: string[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < 3; page++) {
      const more = cursor === undefined ? [] : ["--cursor", cursor];
      const { stdout, stderr } = await bgp("rib", "-o", "json", "--limit", "2", ...more);
      const rows = stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line).prefix);
      shown.push(...rows);
      cursor = /--cursor (\S+)/.exec(stderr)?.[1];
      assert.equal(cursor === undefined, page === 2);
    }
    const all = [0, 1, 2, 3, 4].map((i) => `10.65.${i}.0/24`);
    assert.deepEqual(shown.toSorted(), all);
    assert.deepEqual(await bgp("rib", "10.66.0.0/24", "-o", "json"), { stdout: "", stderr: "" });
  });

  const mistakes = [
    [["piers"], /there is no such command; did you mean "peers"\?/],
    [["peer"], /without NAME/],
    [["peers", "all"], /Cannot use "all": usage: tortie bgp peers$/],
    [["rib", "10.0.0.0/8", "10.0.0.0/8"], /Cannot use "10\.0\.0\.0\/8": usage: tortie bgp rib/],
    [["rib", "--in", "a", "--out", "b"], /both --in and --out/],
    [["rib", "--limit", "0"], /--limit must be a number over 0/],
    [["rib", "--cursor", "x"], /Cannot use cursor "x"/],
    [["why", "10.0.0.1/8"], /host bits are set/],
    [["why-not", "10.0.0.0/8"], /without --to PEER/],
    [["peer", "nobody"], /Cannot find peer "nobody": see tortie bgp peers/],
    [["peers", "-o", "xml"], /it must be json, yaml or wide/],
    [["peers", "--socket", "/nowhere"], /Cannot reach the speaker at \/nowhere/],
  ] as const;
  for (const [argv, message] of mistakes) {
    test(`"${argv.join(" ")}" is refused with a reason`, () =>
      assert.rejects(bgp(...argv), { message }));
  }

  test("--help tells usage and options", async () => {
    const { stdout } = await bgp("rib", "--help");
    assert.match(stdout, /Usage:\n {2}tortie bgp rib \[PREFIX\].*\n\nOptions:\n.*--in=PEER/);
  });
});
