import assert from "node:assert/strict";
import { test } from "node:test";
import { SilenceGuard } from "../../../src/datastore/silence-guard.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const silenceMs = 1_000;

function guarded() {
  const clock = new FakeClock();
  const answers: PromiseWithResolvers<void>[] = [];
  const dead: unknown[] = [];
  const guard = new SilenceGuard({
    clock,
    silenceMs,
    check: () => {
      const answer = Promise.withResolvers<void>();
      answers.push(answer);
      return answer.promise;
    },
    onDead: (cause) => dead.push(cause),
  });
  return { clock, guard, answers, dead };
}

test("SilenceGuard asks only when nothing was heard for so long, and again after an answer", async () => {
  const { clock, guard, answers, dead } = guarded();
  for (let i = 0; i < 5; i++) {
    clock.advance(silenceMs - 1);
    guard.heard();
  }
  assert.equal(answers.length, 0);
  clock.advance(silenceMs);
  assert.equal(answers.length, 1);
  answers[0]?.resolve();
  await clock.advanceSlowly(silenceMs * 1.5, silenceMs / 2);
  assert.equal(answers.length, 2);
  answers[1]?.reject(new Error("no answer"));
  await clock.advanceSlowly(silenceMs, silenceMs / 2);
  assert.deepEqual(dead.map(String), ["Error: no answer"]);
  guard.end();
});

test("SilenceGuard tells nothing after its end", async () => {
  const { clock, guard, answers, dead } = guarded();
  clock.advance(silenceMs);
  guard.end();
  answers[0]?.reject(new Error("no answer"));
  await clock.advanceSlowly(3 * silenceMs, silenceMs);
  assert.deepEqual([answers.length, dead], [1, []]);
});
