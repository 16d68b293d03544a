import assert from "node:assert/strict";
import { test } from "node:test";
import { planService } from "../../../src/controllers/service-plan.ts";
import type { ServiceWish } from "../../../src/controllers/service-wish.ts";
import type { Allocation } from "../../../src/ipam/audit.ts";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";

const anyOf4: ServiceWish = { families: [4], pools: { 4: undefined, 6: undefined } };

function held(...addresses: readonly string[]): Allocation[] {
  return addresses.map((text) => ({ address: parseIpAddr(text), pool: "public" }) as Allocation);
}

function planned(wish: ServiceWish, addresses: readonly string[]) {
  const { keep, release, assign, assignAny } = planService(wish, held(...addresses), []);
  const texts = (all: readonly Allocation[]) => all.map(({ address }): string => address);
  return [texts(keep), texts(release), assign, assignAny];
}

test("planService() keeps one address a family, and gives the others back", () => {
  const two = ["192.0.2.1", "192.0.2.2"];
  assert.deepEqual(planned(anyOf4, two), [["192.0.2.1"], ["192.0.2.2"], [], []]);
});

test("planService() gives back what is of a family that is not wished for any more", () => {
  const both = ["2001:db8::1", "192.0.2.1"];
  assert.deepEqual(planned(anyOf4, both), [["192.0.2.1"], ["2001:db8::1"], [], []]);
  const dual = { ...anyOf4, families: [4, 6] } as const;
  assert.deepEqual(planned(dual, ["192.0.2.1"]), [["192.0.2.1"], [], [], [6]]);
});

test("planService() takes the addresses that are named, and no other", () => {
  const addresses = [parseIpAddr("192.0.2.9")];
  const wish = { ...anyOf4, families: [4, 6], addresses } as const;
  assert.deepEqual(planned(wish, ["192.0.2.1"]), [[], ["192.0.2.1"], ["192.0.2.9"], []]);
});
