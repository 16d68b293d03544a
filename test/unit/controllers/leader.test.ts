import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { whileLeader } from "../../../src/controllers/leader.ts";
import { createLogger } from "../../../src/lib/log.ts";
import { aborted } from "../../../src/lib/service.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { FakeDatastore, failure } from "../ipam/fake-datastore.ts";

const times = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 };
const log = createLogger({ name: "test", level: "silent" });

interface Candidate {
  isCut: boolean;
  stop(): Promise<void>;
}

/** Candidates for one lease; `working` has who works at the moment. */
function office() {
  const clock = new FakeClock();
  const shared = new FakeDatastore();
  const working = new Set<string>();
  let most = 0;
  const join = (identity: string): Candidate => {
    const end = new AbortController();
    const candidate = { isCut: false, stop: () => Promise.resolve() };
    const cut = (_op: string, key: Parameters<typeof failure>[1]) => {
      if (candidate.isCut) throw failure("conflict", key);
    };
    const datastore = new FakeDatastore({ before: cut }, shared);
    const work = async (signal: AbortSignal) => {
      working.add(identity);
      most = Math.max(most, working.size);
      await aborted(signal);
      working.delete(identity);
    };
    const config = { ...times, namespace: "kube-system", name: "test", identity };
    const ended = whileLeader(config, work, { datastore, clock, log })(end.signal);
    candidate.stop = async () => {
      end.abort();
      await ended;
    };
    return candidate;
  };
  const pass = (seconds: number) => clock.advanceSlowly(seconds * 1000, 100);
  return { join, pass, working, most: () => most, shared };
}

describe("whileLeader()", () => {
  test("one works, the others wait; a clean end hands over at once", async () => {
    const { join, pass, working, most } = office();
    const first = join("a");
    await pass(1);
    const second = join("b");
    await pass(60);
    assert.deepEqual([...working], ["a"]);
    await first.stop();
    await pass(3);
    assert.deepEqual([...working], ["b"]);
    assert.equal(most(), 1);
    await second.stop();
    assert.deepEqual([...working], []);
  });

  test("a leader that cannot renew stops before another begins", async () => {
    const { join, pass, working, most } = office();
    const [first, second] = [join("a"), join("b")];
    await pass(5);
    assert.equal(working.size, 1);
    const [leader, other] = working.has("a") ? [first, "b"] : [second, "a"];
    leader.isCut = true;
    await pass(11);
    assert.deepEqual([...working], []);
    await pass(10);
    assert.deepEqual([...working], [other]);
    assert.equal(most(), 1);
    await first.stop();
    await second.stop();
  });

  test("the lease of a process that died is taken after its duration, and counts a transition", async () => {
    const { join, pass, working, shared } = office();
    await shared.create<"Lease">({
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: "test", namespace: "kube-system" },
      spec: { holderIdentity: "dead", leaseDurationSeconds: 15, leaseTransitions: 3 },
    });
    const candidate = join("a");
    await pass(14);
    assert.deepEqual([...working], []);
    await pass(6);
    assert.deepEqual([...working], ["a"]);
    const key = { kind: "Lease", name: "test", namespace: "kube-system" } as const;
    const { spec } = await shared.get(key);
    assert.equal(spec.leaseTransitions, 4);
    assert.equal(spec.holderIdentity, "a");
    await candidate.stop();
    assert.equal((await shared.get(key)).spec.holderIdentity, "");
  });

  test("work that fails ends it, with the failure", async () => {
    const clock = new FakeClock();
    const datastore = new FakeDatastore();
    const config = { ...times, namespace: "n", name: "test", identity: "a" };
    const work = () => Promise.reject(new Error("broken"));
    const run = whileLeader(config, work, { datastore, clock, log });
    await assert.rejects(run(new AbortController().signal), /broken/);
  });
});
