import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { BfdChange, BfdSessionConfig } from "../../../../src/bgp/bfd/bfd.ts";
import { type BfdWorkerHandlers, createBfd } from "../../../../src/bgp/bfd/bfd-service.ts";
import type { ToBfdWorker } from "../../../../src/bgp/bfd/bfd-worker.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";
import { createLogger } from "../../../../src/lib/log.ts";
import { FakeClock } from "../../../support/fake-clock.ts";

const config: BfdSessionConfig = {
  local: "10.0.0.1" as IpAddr,
  peer: "10.0.0.2" as IpAddr,
  bfd: { minReceiveMs: 300, minTransmitMs: 300, multiplier: 3, multihop: false },
};
const key = "10.0.0.1 10.0.0.2";

/** A BFD whose threads only note what they are told. */
function setUp() {
  const clock = new FakeClock();
  const threads: {
    readonly handlers: BfdWorkerHandlers;
    readonly told: ToBfdWorker[];
    terminated: boolean;
  }[] = [];
  const bfd = createBfd({
    clock,
    log: createLogger({ name: "bgp", level: "silent" }),
    startWorker: (handlers) => {
      const thread = { handlers, told: [] as ToBfdWorker[], terminated: false };
      threads.push(thread);
      return {
        send: (message) => thread.told.push(message),
        terminate: () => {
          thread.terminated = true;
          handlers.ended();
        },
      };
    },
  });
  const changes: BfdChange[] = [];
  bfd.onChange((change) => changes.push(change));
  const last = () => threads.at(-1) ?? assert.fail("no thread was started");
  const say = (state: "up" | "down") =>
    last().handlers.received({ kind: "change", change: { key, state, reason: "said" } });
  return { bfd, clock, threads, changes, last, say };
}

suite("the BFD thread", () => {
  test("is started by the first session and told every change once", () => {
    const { bfd, threads, last } = setUp();
    bfd.configure([]);
    assert.equal(threads.length, 0);
    bfd.configure([config]);
    bfd.configure([{ ...config }]);
    bfd.configure([]);
    assert.deepEqual(last().told, [
      { kind: "configure", sessions: [config] },
      { kind: "configure", sessions: [] },
    ]);
  });

  test("tells what becomes of a session, and the status shows it", () => {
    const { bfd, changes, say } = setUp();
    bfd.configure([config]);
    assert.deepEqual(bfd.status(), [{ config, state: "down", reason: "Not up yet" }]);
    say("up");
    assert.deepEqual(changes, [{ key, state: "up", reason: "said" }]);
    assert.deepEqual(bfd.status(), [{ config, state: "up", reason: "said" }]);
  });

  test("what it says of a session that is gone is not told", () => {
    const { bfd, changes, say } = setUp();
    bfd.configure([config]);
    bfd.configure([]);
    say("down");
    assert.deepEqual(changes, []);
  });

  test("when it dies its sessions are unknown until it is started again", () => {
    const { bfd, clock, threads, changes, last, say } = setUp();
    bfd.configure([config]);
    say("up");
    last().handlers.failed(new Error("out of memory"));
    last().handlers.ended();
    assert.deepEqual(changes.at(-1), { key, state: "unknown", reason: "The BFD thread failed" });
    const second = { ...config, peer: "10.0.0.3" as IpAddr };
    bfd.configure([config, second]);
    assert.equal(threads.length, 1);
    clock.advance(400);
    assert.equal(threads.length, 2);
    assert.deepEqual(last().told, [{ kind: "configure", sessions: [config, second] }]);
    say("up");
    assert.equal(bfd.status()[0]?.state, "up");
  });

  test("one that dies at once again and again is started more and more slowly", () => {
    const { bfd, clock, threads, last } = setUp();
    bfd.configure([config]);
    for (let i = 0; i < 40; i++) {
      last().handlers.ended();
      clock.advance(1000);
      if (threads.length === i + 1) break;
    }
    assert.ok(threads.length < 6, `${threads.length} threads`);
  });

  test("close() waits for its last words, but not for ever", async () => {
    const { bfd, clock, last } = setUp();
    bfd.configure([config]);
    const closed = bfd.close();
    assert.deepEqual(last().told.at(-1), { kind: "close" });
    clock.advance(1000);
    await closed;
    assert.ok(last().terminated);
    assert.equal(clock.pendingTimers, 0);
  });

  test("close() of one that never ran is nothing", async () => {
    const { bfd, threads } = setUp();
    await bfd.close();
    bfd.configure([config]);
    assert.equal(threads.length, 0);
  });
});
