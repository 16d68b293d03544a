import assert from "node:assert/strict";
import { test } from "node:test";
import { keyOf } from "../../../src/api/resource-key.ts";
import type { WorkloadEndpoint } from "../../../src/api/resources/workload-endpoint.ts";
import { FelixDoor } from "../../../src/felix/felix-door.ts";
import type { OfferedEndpoints } from "../../../src/felix/offered-endpoints.ts";
import { pod } from "../../states/resources.ts";

class FakeFelix {
  readonly said: string[] = [];
  readonly ready = Promise.resolve();
  readonly programmed = Promise.withResolvers<void>();
  offers: ReturnType<OfferedEndpoints["standing"]> = [];

  offerEndpoint({ metadata }: WorkloadEndpoint): void {
    this.said.push(`offer ${metadata.name}`);
  }

  withdrawEndpoint({ name }: { readonly name: string }): void {
    this.said.push(`withdraw ${name}`);
  }

  standingOffers() {
    return this.offers;
  }

  endpointProgrammed(_key: unknown, signal: AbortSignal): Promise<void> {
    const ended = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => ended.reject(signal.reason), { once: true });
    return Promise.race([this.programmed.promise, ended.promise]);
  }
}

const a = pod("a", { ip: "10.0.0.1/32" });
const b = pod("b", { ip: "10.0.0.2/32" });

test("FelixDoor hands on what stands, and speaks to the present Felix", async () => {
  const door = new FelixDoor();
  assert.throws(() => door.offerEndpoint(a), /felix is not there yet/);
  const first = new FakeFelix();
  door.open(first);
  await door.ready;
  door.offerEndpoint(a);
  first.offers = [
    { key: keyOf(a), value: a },
    { key: keyOf(b), value: null },
  ];
  const second = new FakeFelix();
  door.open(second);
  door.withdrawEndpoint(keyOf(a));
  assert.deepEqual(first.said, ["offer a"]);
  assert.deepEqual(second.said, ["offer a", "withdraw b", "withdraw a"]);
});

test("FelixDoor: who waits for an endpoint waits on at the next Felix", async () => {
  const door = new FelixDoor();
  const [first, second] = [new FakeFelix(), new FakeFelix()];
  door.open(first);
  let done = false;
  const waiting = door.endpointProgrammed(keyOf(a), new AbortController().signal);
  void waiting.then(() => {
    done = true;
  });
  door.open(second);
  await Promise.resolve();
  assert.equal(done, false);
  second.programmed.resolve();
  await waiting;
});

test("FelixDoor: who has no patience any more ends with his own reason", async () => {
  const door = new FelixDoor();
  door.open(new FakeFelix());
  const stop = new AbortController();
  const waiting = door.endpointProgrammed(keyOf(a), stop.signal);
  const reason = new Error("patience is over");
  stop.abort(reason);
  await assert.rejects(waiting, reason);
});
