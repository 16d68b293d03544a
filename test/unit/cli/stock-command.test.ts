import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runControllersStatus } from "../../../src/cli/controllers-status.ts";
import { sessionsProblem } from "../../../src/cli/node-health.ts";
import { stockCommand, upgradeIpam } from "../../../src/cli/stock-command.ts";
import { forgetStatus } from "../../../src/controllers/status-file.ts";

/** Facts 7.10, both columns. */
const rows: readonly (readonly [program: string, words: string, ours: string])[] = [
  ["calico", "component cni install", "install-cni"],
  ["install", "", "install-cni"],
  ["calico", "component node shutdown", "node shutdown"],
  ["calico-node", "-shutdown", "node shutdown"],
  ["calico-node", "-v", "version"],
  [
    "calico",
    "component node health --felix-live --bird-live",
    "node health --felix-live --bird-live",
  ],
  ["calico-node", "-felix-live -bird-live", "node health --felix-live --bird-live"],
  ["calico-node", "-felix-ready -bird-ready", "node health --felix-ready --bird-ready"],
  ["calico", "component kube-controllers", "controllers"],
  ["kube-controllers", "", "controllers"],
  ["calico", "component kube-controllers-health -l", "controllers status -l"],
  ["check-status", "-r", "controllers status -r"],
];

test("stockCommand() knows what Calico's manifests execute", () => {
  for (const [program, words, ours] of rows) {
    const { command } = stockCommand(program, words === "" ? [] : words.split(" "));
    assert.deepEqual(command?.join(" "), ours, `${program} ${words}`);
  }
  for (const words of [["-init", "-best-effort"]]) {
    assert.equal(stockCommand("calico-node", words).command, undefined);
  }
  const init = stockCommand("calico", ["component", "node", "init", "--best-effort"]);
  assert.match(init.message ?? "", /no eBPF/);
});

test("stockCommand() refuses what it does not know", () => {
  assert.throws(() => stockCommand("calico-typha", []), /"calico-typha": tortie has no such/);
  assert.throws(() => stockCommand("calico", ["component", "typha"]), /"calico component typha"/);
  assert.throws(() => stockCommand("calico-ipam", ["-other"]), /"calico-ipam -other"/);
});

test("upgradeIpam() goes on where host-local gave nothing, and else says what to do", () => {
  const folder = mkdtempSync(join(tmpdir(), "tortie-stock-"));
  try {
    assert.equal(upgradeIpam(join(folder, "none")).command, undefined);
    mkdirSync(join(folder, "pods"));
    writeFileSync(join(folder, "pods", "lock"), "");
    assert.match(upgradeIpam(join(folder, "pods")).message ?? "", /no addresses/);
    writeFileSync(join(folder, "pods", "10.0.0.7"), "id");
    assert.throws(() => upgradeIpam(join(folder, "pods")), /1 addresses of host-local.*drain/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("sessionsProblem() needs all sessions of a young node, later one (facts 1.1)", () => {
  const up = { name: "a", state: "Established" } as const;
  const down = { name: "b", state: "Active" } as const;
  assert.equal(sessionsProblem([], true), "");
  assert.equal(sessionsProblem([up], true), "");
  assert.equal(sessionsProblem([up, down], false), "");
  assert.equal(sessionsProblem([up, down], true), "not Established: b (Active)");
  assert.equal(sessionsProblem([down], false), "not Established: b (Active)");
});

test("controllers status tells a dead writer and a datastore that does not answer", () => {
  const folder = mkdtempSync(join(tmpdir(), "tortie-status-"));
  const file = join(folder, "status.json");
  const said: string[] = [];
  const output = { write: (text: string) => said.push(text) > 0 };
  const io = {
    env: { TORTIE_STATUS_FILE: file },
    stdout: output,
    stderr: output,
  } as unknown as Parameters<typeof runControllersStatus>[1];
  const ask = (question: string, at: string) => runControllersStatus([question], io, new Date(at));
  const write = (status: object) => writeFileSync(file, JSON.stringify(status));
  try {
    assert.throws(() => ask("--live", "2026-01-01T00:00:00Z"), /Cannot read/);
    write({ time: "2026-01-01T00:00:00.000Z", ready: false, reason: "no answer" });
    assert.equal(ask("-l", "2026-01-01T00:00:30Z"), 0);
    assert.equal(ask("-r", "2026-01-01T00:00:30Z"), 1);
    assert.match(said.join(""), /not ready: no answer/);
    assert.equal(ask("--live", "2026-01-01T00:01:00Z"), 1);
    assert.match(said.join(""), /last written at 2026-01-01T00:00:00/);
    forgetStatus(file);
    assert.throws(() => ask("--ready", "2026-01-01T00:00:30Z"), /Cannot read/);
    forgetStatus(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
