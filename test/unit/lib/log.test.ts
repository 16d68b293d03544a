import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger } from "../../../src/lib/log.ts";

test("secrets never reach a log record, and its origin keeps them", () => {
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
  const list = [{ password: "hunter2", address: "10.0.0.1" }];
  log.info({ list }, "list");
  assert.equal(list[0]?.password, "hunter2");
  log
    .child({ component: "bgp" })
    .child({ session: { md5Key: "hunter2" } })
    .info("bindings");
  log.error({ err: Object.assign(new Error("kept"), { token: "hunter2" }) }, "error");
  log.error(Object.assign(new TypeError("kept too"), { token: "hunter2" }));
  assert.match(text, /"type":"Error","message":"kept"/);
  assert.match(text, /"type":"TypeError","message":"kept too","stack":"TypeError: kept too/);
  assert.match(text, /"list":\[\{"password":"\[redacted\]","address":"10\.0\.0\.1"\}\]/);
  assert.equal(text.match(/redacted/g)?.length, 9);
  assert.doesNotMatch(text, /hunter2/);
  assert.match(text, /redacted/);
});
