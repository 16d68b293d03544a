import { strict as assert } from "node:assert";
import { test } from "node:test";
import { EndedConnections } from "../../../../src/felix/dataplane/ended-connections.ts";
import { type IpAddr, parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { createLogger } from "../../../../src/lib/log.ts";

const log = createLogger({ name: "test", level: "silent" });
const a = parseIpAddr("10.0.0.1");
const b = parseIpAddr("fd00::1");

function setUp(answer: () => Promise<{ code: number; stdout: string; stderr: string }>) {
  const runs: string[] = [];
  const exec = {
    run: (program: string, args: readonly string[]) => {
      runs.push([program, ...args].join(" "));
      return answer();
    },
  };
  return { runs, ended: new EndedConnections({ exec, log }) };
}

const done = async () => ({ code: 0, stdout: "", stderr: "" });
const at = (...entries: [IpAddr, number][]) => new Map(entries);

test("EndedConnections does nothing for addresses that come and stay", async () => {
  const { runs, ended } = setUp(done);
  await ended.apply(at([a, 5]));
  await ended.apply(at([a, 5], [b, 6]));
  assert.deepEqual(runs, []);
});

test("EndedConnections ends those of an address that moved before it resolves", async () => {
  const { runs, ended } = setUp(done);
  await ended.apply(at([a, 5]));
  await ended.apply(at([a, 7]));
  assert.deepEqual(runs, [
    "conntrack --family ipv4 --delete --orig-src 10.0.0.1",
    "conntrack --family ipv4 --delete --reply-src 10.0.0.1",
  ]);
});

test("EndedConnections waits for an address that comes back, not for one that is gone", async () => {
  let finish: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const { runs, ended } = setUp(async () => {
    await gate;
    return done();
  });
  await ended.apply(at([b, 5]));
  await ended.apply(at());
  let back = false;
  const waiting = ended.apply(at([b, 6])).then(() => {
    back = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(back, false);
  finish();
  await waiting;
  assert.equal(runs.length, 2);
  assert.match(runs[0] ?? "", /--family ipv6/);
});

test("EndedConnections tries three times, and lives without the program", async () => {
  const failing = setUp(async () => ({ code: 1, stdout: "", stderr: "Operation failed" }));
  await failing.ended.apply(at([a, 5]));
  await failing.ended.apply(at([a, 7]));
  assert.equal(failing.runs.length, 6);
  const missing = setUp(() => Promise.reject(new Error("not installed")));
  await missing.ended.apply(at([a, 5]));
  await missing.ended.apply(at([a, 7]));
  const none = setUp(async () => ({
    code: 1,
    stdout: "",
    stderr: "conntrack v1.4.7: 0 flow entries have been deleted.",
  }));
  await none.ended.apply(at([a, 5]));
  await none.ended.apply(at([a, 7]));
  assert.equal(none.runs.length, 2);
});
