import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, test } from "node:test";
import { systemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/lib/log.ts";
import { processIdentity } from "../../src/lib/own-process.ts";
import { runningProcess, writePidFile } from "../../src/node/child-process-file.ts";
import {
  type ChildState,
  type SupervisedChild,
  superviseChild,
} from "../../src/node/supervisor.ts";

const folder = mkdtempSync(join(tmpdir(), "tortie-supervisor-"));
after(() => rmSync(folder, { recursive: true }));

const source = (path: string) => new URL(`../../${path}`, import.meta.url).href;
const daemonFile = join(folder, "daemon.mjs");
const supervisorFile = join(folder, "supervisor.mjs");

/** Notes its start in a file, then does as the file "orders" says: an exit code, or stay. */
writeFileSync(
  daemonFile,
  `
import { appendFileSync, existsSync, readFileSync } from "node:fs";
const dir = process.env.RUN_DIR;
appendFileSync(dir + "/starts", process.pid + "\\n");
const orders = existsSync(dir + "/orders") ? readFileSync(dir + "/orders", "utf8") : "stay";
if (orders !== "stay" && orders !== "stubborn") process.exit(Number(orders));
process.on("SIGTERM", () => { appendFileSync(dir + "/ends", process.pid + "\\n"); if (orders === "stay") process.exit(0); });
setInterval(() => undefined, 1000);
`,
);
writeFileSync(
  supervisorFile,
  `
import { superviseChild } from "${source("src/node/supervisor.ts")}";
import { systemClock } from "${source("src/lib/clock.ts")}";
import { createLogger } from "${source("src/lib/log.ts")}";
const child = JSON.parse(process.argv[2]);
const log = createLogger({ name: "node", level: "silent" });
await superviseChild(child, { runDir: process.env.RUN_DIR, clock: systemClock, log })(new AbortController().signal);
`,
);

const started: number[] = [];
const supervisors: AbortController[] = [];
afterEach(() => {
  for (const supervisor of supervisors.splice(0)) supervisor.abort();
  for (const pid of started.splice(0)) {
    if (processIdentity(pid) !== undefined) process.kill(pid, "SIGKILL");
  }
});

function runFolder(): { readonly dir: string; readonly child: SupervisedChild } {
  const dir = mkdtempSync(join(folder, "run-"));
  const child: SupervisedChild = {
    name: "felix",
    subcommand: "felix",
    program: process.execPath,
    args: [daemonFile, "felix"],
    env: { RUN_DIR: dir },
  };
  return { dir, child };
}

function pids(dir: string, file = "starts"): number[] {
  if (!existsSync(join(dir, file))) return [];
  // A line that is not ended yet is still being written.
  const found = readFileSync(join(dir, file), "utf8").split("\n").slice(0, -1).map(Number);
  started.push(...found);
  return found;
}

async function until<T>(what: string, look: () => T | undefined | false): Promise<T> {
  const deadline = Date.now() + 20_000;
  while (Date.now() < deadline) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`Timed out: ${what}`);
}

function supervise(dir: string, child: SupervisedChild) {
  const stop = new AbortController();
  supervisors.push(stop);
  const states: ChildState[] = [];
  const log = createLogger({ name: "node", level: "silent" });
  const ports = {
    runDir: dir,
    clock: systemClock,
    log,
    onState: (_: string, s: ChildState) => states.push(s),
  };
  const done = superviseChild(child, ports)(stop.signal);
  const stopAndWait = async () => {
    stop.abort();
    await done;
  };
  return { states, stop: stopAndWait };
}

test("a killed child is started again at once, and stopped with the supervisor", async () => {
  const { dir, child } = runFolder();
  const { stop, states } = supervise(dir, child);
  const [first = 0] = await until("first start", () => pids(dir).length === 1 && pids(dir));
  assert.equal(runningProcess(dir, "felix", "felix")?.pid, first);
  process.kill(first, "SIGKILL");
  const [, second = 0] = await until("second start", () => pids(dir).length === 2 && pids(dir));
  await stop();
  assert.deepEqual(pids(dir, "ends"), [second]);
  assert.equal(processIdentity(second), undefined);
  assert.ok(!existsSync(join(dir, "felix.pid")));
  assert.deepEqual(
    states.map((state) => (state.kind === "running" ? state.pid : state.reason)),
    [first, "SIGKILL", second, "exit code 0"],
  );
});

test("a child that fails again and again is started at growing intervals", async () => {
  const { dir, child } = runFolder();
  writeFileSync(join(dir, "orders"), "3");
  const { stop } = supervise(dir, child);
  await until("three starts", () => pids(dir).length >= 3);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  assert.ok(pids(dir).length <= 6, `${pids(dir).length} starts`);
  await stop();
});

test("a supervisor that is killed leaves its child running, and the next one adopts it", async () => {
  const { dir, child } = runFolder();
  const supervisor = spawn(process.execPath, [supervisorFile, JSON.stringify(child)], {
    env: { RUN_DIR: dir },
    stdio: "ignore",
  });
  const ended = new Promise((resolve) => supervisor.once("exit", resolve));
  const [pid = 0] = await until("start", () => pids(dir).length === 1 && pids(dir));
  await until("pid file", () => existsSync(join(dir, "felix.pid")));
  supervisor.kill("SIGKILL");
  await ended;
  assert.ok(processIdentity(pid) !== undefined, "the child lives on");

  const { stop, states } = supervise(dir, child);
  await until("adoption", () => states.length === 1);
  assert.deepEqual(states, [{ kind: "running", pid }]);
  assert.deepEqual(pids(dir), [pid], "no second child");
  process.kill(pid, "SIGKILL");
  const [, second = 0] = await until("restart", () => pids(dir).length === 2 && pids(dir));
  await until("second state", () => states.length === 3);
  await stop();
  assert.equal(processIdentity(second), undefined);
});

test("an adopted child is stopped with its supervisor too", async () => {
  const { dir, child } = runFolder();
  const orphan = spawn(child.program, child.args, { env: { RUN_DIR: dir }, stdio: "ignore" });
  await until("start", () => pids(dir).length === 1);
  const identity = processIdentity(orphan.pid ?? 0);
  assert.ok(identity !== undefined);
  writePidFile(dir, "felix", identity);
  const { stop, states } = supervise(dir, child);
  await until("adoption", () => states.length === 1);
  await stop();
  assert.deepEqual(pids(dir, "ends"), [identity.pid]);
});

test("a pid file of another program, or of an earlier process with this pid, is not believed", async () => {
  const { dir, child } = runFolder();
  const own = processIdentity(process.pid);
  assert.ok(own !== undefined);
  writePidFile(dir, "felix", own);
  assert.equal(runningProcess(dir, "felix", "felix"), undefined);
  const other = spawn(child.program, child.args, { env: { RUN_DIR: dir }, stdio: "ignore" });
  await until("start", () => pids(dir).length === 1);
  writePidFile(dir, "felix", { pid: other.pid ?? 0, startTime: "1" });
  assert.equal(runningProcess(dir, "felix", "felix"), undefined);
  const ended = new Promise((resolve) => other.once("exit", resolve));
  other.kill("SIGKILL");
  await ended;
});
