import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { suite, type TestContext, test } from "node:test";
import { waitFor } from "../../support/wait-for.ts";

const module = new URL("../../../src/lib/log-writer.ts", import.meta.url).href;

/** A process that writes to a LogWriter on its standard error, which nobody reads yet. */
function writing(t: TestContext, body: string): ChildProcess {
  const program = `import { standardError as log } from ${JSON.stringify(module)};\n${body}`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.after(() => child.kill("SIGKILL"));
  return child;
}

suite("LogWriter", () => {
  test("what is logged in the last turn is written before the process ends", async (t) => {
    const child = writing(t, 'log.write("one\\n"); log.write("two\\n"); process.exit(3);');
    let text = "";
    child.stderr?.on("data", (chunk) => {
      text += chunk;
    });
    const code = await new Promise((resolve) => child.once("close", resolve));
    assert.deepEqual([text, code], ["one\ntwo\n", 3]);
  });

  test("a reader that is slow never stops the process, and gets all that fits", async (t) => {
    const child = writing(
      t,
      `for (let i = 0; i < 30_000; i++) log.write("x".repeat(99) + "\\n");
       let rounds = 0;
       const count = () => (++rounds < 1000 ? setImmediate(count) : console.log("alive"));
       setImmediate(count);`,
    );
    let said = "";
    child.stdout?.on("data", (chunk) => {
      said += chunk;
    });
    await waitFor(() => said === "alive\n", { what: "its other work" });
    let text = "";
    child.stderr?.on("data", (chunk) => {
      text += chunk;
    });
    await new Promise((resolve) => child.once("close", resolve));
    const lines = text.trimEnd().split("\n");
    const kept = Math.floor((1024 * 1024) / 100);
    assert.equal(lines.filter((line) => line === "x".repeat(99)).length, kept);
    const { msg, count } = JSON.parse(lines.at(-1) ?? "");
    assert.deepEqual([lines.length, msg, count], [kept + 1, "Log lines lost", 30_000 - kept]);
  });
});
