import assert from "node:assert/strict";
import { test } from "node:test";
import { allocatableCondition, notAllocatable } from "../../../src/api/pool-condition.ts";
import type { IPPool } from "../../../src/api/resources/ip-pool.ts";
import { allocatablePools, withVerdict } from "../../../src/controllers/allocatable.ts";
import { pool } from "../ipam/cluster.ts";

const now = new Date("2026-01-02T03:04:05.678Z");

function made(
  name: string,
  cidr: string,
  {
    at = "2026-01-01T00:00:00Z",
    was,
    ...more
  }: { at?: string; was?: boolean; deleted?: boolean } = {},
): IPPool {
  const plain = pool(name, { cidr });
  const deleted = more.deleted === true ? { deletionTimestamp: at } : {};
  const conditions = [{ type: "Allocatable", status: was === true ? "True" : "False" }];
  return {
    ...plain,
    metadata: { ...plain.metadata, creationTimestamp: at, ...deleted },
    ...(was === undefined ? {} : { status: { conditions } }),
  };
}

/** "name: reason" of each pool, in the order of names. */
function reasons(...pools: readonly IPPool[]): string[] {
  return [...allocatablePools(pools)].map(([name, { reason }]) => `${name}: ${reason}`).sort();
}

test("facts 2.3: of pools that overlap the oldest gives addresses", () => {
  const older = made("b", "10.0.0.0/16");
  const newer = made("a", "10.0.1.0/24", { at: "2026-01-01T00:00:01Z" });
  const apart = made("c", "10.1.0.0/16", { at: "2026-01-01T00:00:02Z" });
  assert.deepEqual(reasons(newer, apart, older), ["a: CIDROverlap", "b: OK", "c: OK"]);
  const verdict = allocatablePools([older, newer]).get("a");
  assert.match(verdict?.message ?? "", /overlaps that of IPPool b$/);
});

test("a pool that gives addresses goes on, whichever is older", () => {
  const older = made("a", "10.0.0.0/16", { was: false });
  const active = made("b", "10.0.0.0/24", { at: "2026-01-01T00:00:01Z", was: true });
  assert.deepEqual(reasons(older, active), ["a: CIDROverlap", "b: OK"]);
});

test("a pool that is being deleted gives nothing, and nobody has its addresses before it is gone", () => {
  const going = made("a", "10.0.0.0/24", { was: true, deleted: true });
  const waiting = made("b", "10.0.0.0/24", { at: "2026-01-01T00:00:01Z", was: false });
  assert.deepEqual(reasons(going, waiting), ["a: Terminating", "b: CIDROverlap"]);
  assert.deepEqual(reasons(waiting), ["b: OK"]);
});

test("a disabled pool gives nothing, and is in nobody's way", () => {
  const plain = made("a", "10.0.0.0/24");
  const disabled = { ...plain, spec: { ...plain.spec, disabled: true } };
  const other = made("b", "10.0.0.0/24", { at: "2026-01-01T00:00:01Z" });
  assert.deepEqual(reasons(disabled, other), ["a: PoolDisabled", "b: OK"]);
});

test("withVerdict() writes what has changed, and the time of a change of status only", () => {
  const ok = { status: "True", reason: "OK", message: "m" } as const;
  const first = withVerdict(made("a", "10.0.0.0/24"), ok, now);
  assert.ok(first !== undefined);
  const at = "2026-01-02T03:04:05Z";
  assert.deepEqual(allocatableCondition(first), {
    type: "Allocatable",
    ...ok,
    lastTransitionTime: at,
  });
  const later = new Date("2026-01-03T00:00:00Z");
  assert.equal(withVerdict(first, ok, later), undefined);
  const reworded = withVerdict(first, { ...ok, message: "n" }, later);
  assert.equal(allocatableCondition(reworded ?? first)?.lastTransitionTime, at);
  const closed = {
    status: "False",
    reason: "PoolDisabled",
    message: "spec.disabled is true",
  } as const;
  const second = withVerdict(first, closed, later) ?? first;
  assert.equal(allocatableCondition(second)?.lastTransitionTime, "2026-01-03T00:00:00Z");
  assert.equal(notAllocatable(second), "PoolDisabled: spec.disabled is true");
  assert.equal(notAllocatable(first), undefined);
});

test("withVerdict() keeps the conditions of others", () => {
  const plain = made("a", "10.0.0.0/24");
  const other = { type: "Other", status: "True" };
  const given = { ...plain, status: { conditions: [other], more: 1 } };
  const { status } = withVerdict(given, { status: "True", reason: "OK", message: "" }, now) ?? {};
  const { conditions, more } = status as { conditions: unknown[]; more: number };
  assert.deepEqual([conditions[0], conditions.length, more], [other, 2, 1]);
});
