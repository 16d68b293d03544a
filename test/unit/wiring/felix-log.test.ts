import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { felixConfig } from "../../../src/felix/config/felix-config.ts";
import { syslogMessage } from "../../../src/kernel/syslog.ts";
import { createLogger, type Logger } from "../../../src/lib/log.ts";
import { FelixLog } from "../../../src/wiring/felix-log.ts";
import { DatagramReader } from "../../support/datagram-reader.ts";
import { waitFor } from "../../support/wait-for.ts";

const folder = mkdtempSync(join(tmpdir(), "tortie-log-"));
after(() => rmSync(folder, { recursive: true }));

type Spec = Readonly<Record<string, unknown>>;

function setUp(t: TestContext, syslogPath = join(folder, "none")) {
  const screen: string[] = [];
  const felixLog = new FelixLog({ screen: { write: (line) => screen.push(line) }, syslogPath });
  const { destination } = felixLog;
  const log = createLogger({ name: "felix", debugFiles: () => felixLog.debugFiles }, destination);
  t.after(() => felixLog.close());
  const apply = (global: Spec) => felixLog.apply(felixConfig({ global, env: {} }).logging, log);
  return { screen, log, apply, close: () => felixLog.close() };
}

const messages = (lines: readonly string[]) => lines.map((line) => JSON.parse(line).msg);
const written = (path: string) => readFileSync(path, "utf8").split("\n").slice(0, -1);

function everyLevel(log: Logger): void {
  for (const level of ["debug", "info", "warn", "error"] as const) log[level](level);
}

test("logFilePath, logSeverityFile and logSeverityScreen: each place has its own severity", async (t) => {
  const path = join(folder, "deep", "felix.log");
  const { screen, log, apply, close } = setUp(t);
  apply({ logFilePath: path, logSeverityFile: "Debug", logSeverityScreen: "Error" });
  everyLevel(log);
  assert.deepEqual(messages(screen), ["error"]);
  apply({ logFilePath: path, logSeverityFile: "Warning", logSeverityScreen: "None" });
  everyLevel(log);
  assert.deepEqual(messages(screen), ["error"]);
  apply({ logFilePath: "none", logSeverityScreen: "Info" });
  everyLevel(log);
  assert.deepEqual(messages(screen), ["error", "info", "warn", "error"]);
  await close();
  await waitFor(() => written(path).length === 6, { what: "the file" });
  const expected = ["debug", "info", "warn", "error", "warn", "error"];
  assert.deepEqual(messages(written(path)), expected);
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test("a logFilePath that cannot be opened is said once, and the rest goes on", async (t) => {
  const { screen, log, apply } = setUp(t);
  apply({ logFilePath: folder });
  everyLevel(log);
  await waitFor(() => screen.length === 4, { what: "the error" });
  everyLevel(log);
  apply({ logFilePath: folder, logSeverityScreen: "Warning" });
  everyLevel(log);
  const expected = ["info", "warn", "error", "Cannot write file", "info", "warn", "error"];
  assert.deepEqual(messages(screen), [...expected, "warn", "error"]);
  apply({ logFilePath: "/proc/nowhere/felix.log", logSeverityScreen: "Warning" });
  await waitFor(() => screen.length === 10, { what: "the second error" });
});

test("logSeveritySys sends lines of that severity to syslog, also when its reader begins anew", async (t) => {
  const path = join(folder, "syslog");
  const first = new DatagramReader(path);
  const { log, apply } = setUp(t, path);
  apply({ logSeverityScreen: "None" });
  everyLevel(log);
  apply({ logSeveritySys: "Warning", logSeverityScreen: "None" });
  everyLevel(log);
  const lines = first.read();
  assert.equal(lines.length, 2);
  assert.match(
    lines[0] ?? "",
    /^<12>\w{3} [ \d]\d \d\d:\d\d:\d\d calico-felix\[\d+\]: \{.*"warn"\}$/,
  );
  assert.match(lines[1] ?? "", /^<11>/);
  first.close();
  log.error("nobody reads");
  const second = new DatagramReader(path);
  t.after(() => second.close());
  await waitFor(
    () => {
      log.error("again");
      return second.read().length > 0;
    },
    { what: "the second reader" },
  );
  apply({ logSeveritySys: "None" });
  log.error("off");
  assert.doesNotMatch(second.read().join("\n"), /off/);
});

test("logSeveritySys where there is no syslog is said, and the rest goes on", (t) => {
  const { screen, log, apply } = setUp(t);
  apply({ logSeveritySys: "Info" });
  log.info("on");
  assert.deepEqual(messages(screen), ["logSeveritySys has no effect", "on"]);
});

test("a syslog whose reader is slow loses lines and holds up nobody", (t) => {
  const path = join(folder, "slow");
  const reader = new DatagramReader(path);
  t.after(() => reader.close());
  const { log, apply } = setUp(t, path);
  apply({ logSeveritySys: "Info", logSeverityScreen: "None" });
  for (let i = 0; i < 5000; i++) log.info("x".repeat(200));
  const { length } = reader.read();
  assert.ok(length > 0 && length < 5000, `${length}`);
});

test("logDebugFilenameRegex lets debug lines through from those files alone", (t) => {
  const { screen, log, apply } = setUp(t);
  apply({ logSeverityScreen: "Debug", logDebugFilenameRegex: "^dataplane" });
  everyLevel(log);
  assert.deepEqual(messages(screen), ["info", "warn", "error"]);
  apply({ logSeverityScreen: "Debug", logDebugFilenameRegex: "felix-log\\.test\\.ts$" });
  log.child({ a: 1 }).debug("child");
  log.debug("own");
  assert.deepEqual(messages(screen).slice(3), ["child", "own"]);
});

test("syslogMessage() writes RFC 3164's priority, time and tag", () => {
  const text = (level: number) =>
    syslogMessage("{}", level, new Date(2026, 0, 2, 3, 4, 5)).toString();
  assert.equal(text(20), `<15>Jan  2 03:04:05 calico-felix[${process.pid}]: {}`);
  assert.deepEqual(
    [30, 40, 50, 60].map((level) => /^<(\d+)>/.exec(text(level))?.[1]),
    ["14", "12", "11", "10"],
  );
});
