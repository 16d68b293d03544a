import { strict as assert } from "node:assert";
import { test } from "node:test";
import { keyOf } from "../../../src/api/resource-key.ts";
import type { WorkloadEndpoint } from "../../../src/api/resources/workload-endpoint.ts";
import { OfferedEndpoints } from "../../../src/felix/offered-endpoints.ts";
import { pod } from "../../states/resources.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const first = pod("node--a-k8s-a-eth0", { ip: "10.0.0.1/32", containerID: "first" });
const second = pod("node--a-k8s-a-eth0", { ip: "10.0.0.2/32", containerID: "second" });
const key = keyOf(first);

function setUp() {
  const clock = new FakeClock();
  const said: string[] = [];
  const offered = new OfferedEndpoints(clock, ({ value }) => {
    said.push((value as WorkloadEndpoint | null)?.spec.containerID ?? "none");
  });
  return { clock, said, offered };
}

test("the datastore's word passes when the agent said nothing", () => {
  const { said, offered } = setUp();
  offered.take({ key, value: first });
  offered.take({ key, value: null });
  assert.deepEqual(said, ["first", "none"]);
});

test("a late end of the last sandbox does not take the present one away", () => {
  const { clock, said, offered } = setUp();
  offered.offer(key, null);
  offered.offer(key, second);
  offered.take({ key, value: null });
  offered.take({ key, value: second });
  assert.deepEqual(said, ["none", "second", "second"]);
  offered.take({ key, value: null });
  assert.deepEqual(said.at(-1), "none", "the datastore has caught up: its word counts again");
  assert.equal(clock.pendingTimers, 0);
});

test("a late birth of a sandbox that is gone brings nothing back", () => {
  const { said, offered } = setUp();
  offered.offer(key, first);
  offered.offer(key, null);
  offered.take({ key, value: first });
  offered.take({ key, value: null });
  assert.deepEqual(said, ["first", "none", "none"]);
});

test("after 10 s the datastore's last word counts, if it said anything", () => {
  const { clock, said, offered } = setUp();
  offered.offer(key, first);
  offered.take({ key, value: second });
  offered.take({ key, value: null });
  clock.advance(9_999);
  assert.deepEqual(said, ["first"]);
  clock.advance(1);
  assert.deepEqual(said, ["first", "none"]);
  offered.offer(key, second);
  clock.advance(10_000);
  assert.deepEqual(said, ["first", "none", "second"]);
});

test("close() leaves no timer", () => {
  const { clock, offered } = setUp();
  offered.offer(key, first);
  offered.close();
  assert.equal(clock.pendingTimers, 0);
});
