import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger } from "../../../src/lib/log.ts";

test("secrets never reach a log record", () => {
  let text = "";
  const log = createLogger(
    { name: "test" },
    {
      write: (line) => {
        text += line;
      },
    },
  );
  log.info({ password: "hunter2", peer: { password: "hunter2", a: { token: "hunter2" } } }, "peer");
  log.warn({ env: { etcdPassword: "hunter2" }, privateKey: "hunter2" }, "environment");
  assert.doesNotMatch(text, /hunter2/);
  assert.match(text, /redacted/);
});
