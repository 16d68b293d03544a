import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import koffi from "koffi";
import { ExecError, type ExecHelper, startExecHelper } from "../../src/kernel/exec-helper.ts";

/** In a network namespace of its own, as the tools of the helper change the network. */

const CLONE_NEWNET = 0x40000000;
const unshare = koffi.load("libc.so.6").func("int unshare(int)");

function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8")
      .split(" ")
      .filter(Boolean)
      .map(Number),
  );
}

function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
}

function helperOf(pid: number): number {
  const helpers = childrenOf(pid).filter((child) =>
    commandOf(child).includes("exec-helper-process"),
  );
  assert.equal(helpers.length, 1);
  return helpers[0] ?? 0;
}

async function until(done: () => boolean, timeoutMs = 5000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!done()) {
    assert.ok(performance.now() < end, `not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const rejectsWith = (code: string) => (error: unknown) =>
  error instanceof ExecError && error.code === code;

describe("exec helper", () => {
  let exec: ExecHelper;

  before(() => {
    assert.equal(unshare(CLONE_NEWNET), 0, "needs root");
    exec = startExecHelper();
  });

  after(() => exec.close());

  test("gives exit code, output and complaint; an error's exit code is no exception", async () => {
    const good = await exec.run("iptables", ["--version"]);
    assert.equal(good.code, 0);
    assert.match(good.stdout, /^iptables v\d/);
    const bad = await exec.run("iptables", ["--nonsense"]);
    assert.equal(bad.code, 2);
    assert.match(bad.stderr, /unknown option/);
  });

  test("gives the program its stdin, and works in the namespace where it was started", async () => {
    await exec.run("ipset", ["restore"], { stdin: "create tt hash:ip\nadd tt 192.0.2.1\n" });
    const listed = await exec.run("ipset", ["list", "-name"]);
    assert.equal(listed.stdout, "tt\n");
  });

  test("calls at once are answered each with its own", async () => {
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) => exec.run("ipset", ["test", "tt", `192.0.2.${i}`])),
    );
    assert.deepEqual(
      results.map(({ code }) => code),
      results.map((_, i) => (i === 1 ? 0 : 1)),
    );
  });

  test("large input and output pass", async () => {
    const adds = Array.from(
      { length: 60_000 },
      (_, i) => `add big 10.${i >> 16}.${(i >> 8) & 255}.${i & 255}\n`,
    );
    const created = await exec.run("ipset", ["restore"], {
      stdin: `create big hash:ip\n${adds.join("")}`,
    });
    assert.equal(created.code, 0);
    const saved = await exec.run("ipset", ["save", "big"]);
    assert.equal(saved.stdout.split("\n").length, adds.length + 2);
  });

  test("runs nothing that is not in its list", async () => {
    await assert.rejects(exec.run("sh" as "ipset", ["-c", "true"]), rejectsWith("not-allowed"));
    await assert.rejects(exec.run("../bin/sh" as "ipset", []), rejectsWith("not-allowed"));
  });

  test("its programs have no environment but PATH, and are killed when they take too long", async () => {
    const helper = helperOf(process.pid);
    const running = exec.run("conntrack", ["-E"], { timeoutMs: 3000 });
    const outcome = assert.rejects(running, rejectsWith("timeout"));
    await until(() => childrenOf(helper).some((pid) => commandOf(pid).startsWith("conntrack")));
    const [pid = 0] = childrenOf(helper);
    assert.equal(
      readFileSync(`/proc/${pid}/environ`, "utf8"),
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\0",
    );
    const own = readFileSync(`/proc/${helper}/environ`, "utf8");
    assert.match(own, /^(?:(?:NODE_COMPILE_CACHE|MALLOC_[A-Z_]+)=[^\0]*\0)*$/);
    await outcome;
    await until(() => !existsSync(`/proc/${pid}`));
  });

  test("a crash fails what was running, and the next call starts it again", async () => {
    const helper = helperOf(process.pid);
    const running = exec.run("conntrack", ["-E"]);
    const outcome = assert.rejects(running, rejectsWith("helper-died"));
    await until(() => childrenOf(helper).length > 0);
    const children = childrenOf(helper);
    process.kill(helper, "SIGKILL");
    await outcome;
    assert.equal((await exec.run("ipset", ["list", "-name"])).stdout, "tt\nbig\n");
    assert.notEqual(helperOf(process.pid), helper);
    // Nobody was left to end what the crashed one ran.
    for (const pid of children) process.kill(pid, "SIGKILL");
  });

  test("it ends with its owner, and ends what it runs", async () => {
    const module = fileURLToPath(new URL("../../src/kernel/exec-helper.ts", import.meta.url));
    const script = `const { startExecHelper } = await import(${JSON.stringify(module)});
      startExecHelper().run("conntrack", ["-E"]);`;
    const owner = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: "ignore",
    });
    const pids: number[] = [];
    await until(() => {
      const [helper] = childrenOf(owner.pid ?? 0);
      const [program] = helper === undefined ? [] : childrenOf(helper);
      if (helper === undefined || program === undefined) return false;
      pids.push(helper, program);
      return true;
    });
    owner.kill("SIGKILL");
    await once(owner, "exit");
    await until(() => pids.every((pid) => !existsSync(`/proc/${pid}`)));
  });

  test("a program that is killed is answered for, though what it started holds its output open", async () => {
    const module = fileURLToPath(new URL("../../src/kernel/exec-helper.ts", import.meta.url));
    const script = `const { startExecHelper } = await import(${JSON.stringify(module)});
      const exec = startExecHelper();
      const error = await exec.run("conntrack", [], { timeoutMs: 1000 }).catch((error) => error);
      process.stdout.write(error.code);
      exec.close();`;
    // In a mount namespace of its own, where conntrack is one that hangs.
    const setUp = `mount -t tmpfs tmpfs /usr/local/sbin
      printf '#!/bin/sh\\nsleep 30 & echo $! >/usr/local/sbin/pid; exec sleep 30\\n' >/usr/local/sbin/conntrack
      chmod +x /usr/local/sbin/conntrack
      "$0" --input-type=module -e "$1"; echo " $(cat /usr/local/sbin/pid)"`;
    const owner = spawn("unshare", ["-m", "sh", "-c", setUp, process.execPath, script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    owner.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    await once(owner, "close");
    const [code, left] = said.trim().split(" ");
    assert.match(commandOf(Number(left)), /^sleep /, "it was not waited for");
    process.kill(Number(left), "SIGKILL");
    assert.equal(code, "timeout");
  });

  test("an idle helper does not keep its owner alive", async () => {
    const module = fileURLToPath(new URL("../../src/kernel/exec-helper.ts", import.meta.url));
    const script = `const { startExecHelper } = await import(${JSON.stringify(module)});
      const { code } = await startExecHelper().run("ipset", ["--version"]);
      process.exitCode = code + 7;`;
    const owner = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: "ignore",
    });
    const [code] = await once(owner, "exit");
    assert.equal(code, 7);
  });

  test("after close() it refuses, and what was running is refused too", async () => {
    const other = startExecHelper();
    const running = assert.rejects(other.run("conntrack", ["-E"]), rejectsWith("closed"));
    other.close();
    await running;
    await assert.rejects(other.run("ipset", ["--version"]), rejectsWith("closed"));
  });
});
