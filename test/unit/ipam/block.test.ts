import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import type { IPAMBlockSpec } from "../../../src/api/resources/ipam.ts";
import {
  assign,
  assignSpecific,
  countAddresses,
  isEmpty,
  newBlock,
  normalizeBlock,
  ownerOf,
} from "../../../src/ipam/block.ts";
import { collectGarbage, release, releaseHandle } from "../../../src/ipam/block-release.ts";
import { parseBigJson, stringifyBigJson } from "../../../src/lib/big-json.ts";
import { parsePrefix } from "../../../src/lib/prefix.ts";

const start = new Date("2026-08-22T10:00:00Z");
const cidr = parsePrefix("10.0.0.64/29");
const fresh = newBlock(cidr, "host:node1", start);
const owner = (handle: string, attributes: Record<string, string> = {}) => ({ handle, attributes });

test("newBlock() starts with every address free, in order, at the time in nanoseconds", () => {
  assert.deepEqual(fresh.unallocated, [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.equal(fresh.sequenceNumber, 1787392800000000000n);
  assert.ok(isEmpty(fresh));
});

test("assign() takes the longest idle first and shares one attribute among equals", () => {
  const { block, assigned } = assign(fresh, 2, owner("h", { b: "2", a: "1" }));
  assert.deepEqual(
    assigned.map(({ address }) => address),
    ["10.0.0.64", "10.0.0.65"],
  );
  const again = assign(block, 1, owner("h", { a: "1", b: "2" }));
  const other = assign(again.block, 1, owner("h", { a: "1" }));
  assert.deepEqual(other.block.allocations, [0, 0, 0, 1, null, null, null, null]);
  assert.deepEqual(other.block.sequenceNumberForAllocation, {
    0: fresh.sequenceNumber,
    1: fresh.sequenceNumber,
    2: fresh.sequenceNumber + 1n,
    3: fresh.sequenceNumber + 2n,
  });
});

test("assignSpecific() refuses an address in use and one out of the block", () => {
  const taken = assignSpecific(fresh, 3, owner("h"));
  assert.equal(taken?.assigned[0]?.address, "10.0.0.67");
  assert.equal(assignSpecific(taken?.block ?? fresh, 3, owner("h")), undefined);
  assert.equal(assignSpecific(fresh, 8, owner("h")), undefined);
});

test("release() appends at the tail, so a released address is the last to be used again", () => {
  const { block } = assign(fresh, 1, owner("h"));
  const outcome = release(block, [{ ordinal: 0 }], start);
  assert.ok(outcome.kind === "released");
  const freed = collectGarbage(outcome.block, 0, start);
  assert.deepEqual(freed.unallocated, [1, 2, 3, 4, 5, 6, 7, 0]);
  assert.deepEqual(freed.attributes, []);
  assert.deepEqual(freed.sequenceNumberForAllocation, {});
});

test("release() with a handle or sequence number of an earlier owner releases nothing", () => {
  const { block, assigned } = assign(fresh, 2, owner("h"));
  const sequenceNumber = (assigned[0]?.sequenceNumber ?? 0n) + 1n;
  assert.equal(
    release(block, [{ ordinal: 0 }, { ordinal: 1, handle: "x" }], start).kind,
    "mismatch",
  );
  assert.equal(release(block, [{ ordinal: 0, sequenceNumber }], start).kind, "mismatch");
});

test("release() of a free or cooling address reports it and changes nothing", () => {
  const { block } = assign(fresh, 1, owner("h"));
  const first = release(block, [{ ordinal: 0 }], start);
  assert.ok(first.kind === "released");
  const second = release(first.block, [{ ordinal: 0 }, { ordinal: 5 }], start);
  assert.ok(second.kind === "released");
  assert.deepEqual(second.unallocated, [0, 5]);
  assert.equal(second.block, first.block);
});

test("collectGarbage() frees at the end of the cooldown and not before", () => {
  const outcome = releaseHandle(assign(fresh, 2, owner("h")).block, "h", start);
  assert.ok(outcome.kind === "released");
  const early = new Date(start.getTime() + 59_999);
  const late = new Date(start.getTime() + 60_000);
  assert.deepEqual(countAddresses(collectGarbage(outcome.block, 60_000, early)), {
    free: 6,
    inUse: 0,
    cooling: 2,
  });
  assert.ok(!isEmpty(outcome.block));
  assert.ok(isEmpty(collectGarbage(outcome.block, 60_000, late)));
});

test("a handle ends at its first carriage return, in assign() and in releaseHandle()", () => {
  const { block } = assign(fresh, 1, owner("h\rmore"));
  const outcome = releaseHandle(block, "h\rother", start);
  assert.ok(outcome.kind === "released");
  assert.deepEqual(outcome.ordinals, [0]);
});

test("normalizeBlock() gives a block back unharmed after JSON, above and below 2^53", () => {
  for (const sequenceNumber of [5n, 1755856800000000003n]) {
    const { block } = assign({ ...fresh, sequenceNumber }, 2, owner("h"));
    const read = parseBigJson(stringifyBigJson(block)) as IPAMBlockSpec;
    assert.deepEqual(normalizeBlock(read), block);
  }
});

type Operation =
  | { readonly kind: "assign"; readonly count: number; readonly handle: string }
  | { readonly kind: "specific"; readonly ordinal: number; readonly handle: string }
  | { readonly kind: "release"; readonly ordinal: number }
  | { readonly kind: "releaseHandle"; readonly handle: string }
  | { readonly kind: "wait"; readonly seconds: number };

const handles = fc.constantFrom("a", "b", "c");
const operations: fc.Arbitrary<Operation[]> = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant("assign" as const), count: fc.nat(5), handle: handles }),
    fc.record({ kind: fc.constant("specific" as const), ordinal: fc.nat(8), handle: handles }),
    fc.record({ kind: fc.constant("release" as const), ordinal: fc.nat(8) }),
    fc.record({ kind: fc.constant("releaseHandle" as const), handle: handles }),
    fc.record({ kind: fc.constant("wait" as const), seconds: fc.nat(20) }),
  ),
  { maxLength: 60 },
);

test("over any operations no address is given twice, none is lost, and sequence numbers grow", () => {
  fc.assert(
    fc.property(operations, fc.constantFrom(0, 10), (steps, cooldownSeconds) => {
      let block = fresh;
      let nowMs = start.getTime();
      const inUse = new Map<number, string>();
      for (const step of steps) {
        nowMs += step.kind === "wait" ? step.seconds * 1000 : 0;
        const now = new Date(nowMs);
        block = collectGarbage(block, cooldownSeconds * 1000, now);
        const before = block;
        block = apply(block, step, { now, inUse });
        checkWhole(block, inUse);
        if (block === before) continue;
        assert.ok(block.sequenceNumber > before.sequenceNumber);
      }
    }),
    { numRuns: 300 },
  );
});

function apply(
  block: IPAMBlockSpec,
  step: Operation,
  world: { readonly now: Date; readonly inUse: Map<number, string> },
): IPAMBlockSpec {
  const { now, inUse } = world;
  if (step.kind === "wait") return block;
  if (step.kind === "assign" || step.kind === "specific") {
    const change =
      step.kind === "assign"
        ? assign(block, step.count, owner(step.handle))
        : assignSpecific(block, step.ordinal, owner(step.handle));
    for (const { ordinal } of change?.assigned ?? []) {
      assert.ok(!inUse.has(ordinal), "given twice");
      inUse.set(ordinal, step.handle);
    }
    return change?.block ?? block;
  }
  const outcome =
    step.kind === "release"
      ? release(block, [{ ordinal: step.ordinal }], now)
      : releaseHandle(block, step.handle, now);
  assert.ok(outcome.kind === "released");
  for (const ordinal of outcome.ordinals) assert.ok(inUse.delete(ordinal));
  if (step.kind === "releaseHandle") assert.ok(![...inUse.values()].includes(step.handle));
  return outcome.block;
}

function checkWhole(block: IPAMBlockSpec, inUse: ReadonlyMap<number, string>): void {
  const counts = countAddresses(block);
  assert.equal(counts.free + counts.inUse + counts.cooling, 8);
  assert.equal(new Set(block.unallocated).size, counts.free);
  assert.equal(block.unallocated.length, counts.free);
  assert.equal(counts.inUse, inUse.size);
  for (const [ordinal, handle] of inUse) assert.equal(ownerOf(block, ordinal)?.handle_id, handle);
  const used = new Set(block.allocations.filter((entry) => entry !== null));
  assert.equal(used.size, block.attributes.length, "every attribute is referred to");
}
