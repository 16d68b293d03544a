import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { blockDistance, blockOrder, fnv1, walkBlocks } from "../../../src/ipam/block-order.ts";
import { parsePrefix } from "../../../src/lib/prefix.ts";

test("fnv1() gives the seeds of facts B 18", () => {
  assert.equal(fnv1("node1"), 3957252814);
  assert.equal(fnv1("node2"), 3957252813);
});

test("walkBlocks() gives every block once, from the same start for the same seed", () => {
  fc.assert(
    fc.property(fc.nat(8), fc.string(), (bits, host) => {
      const order = blockOrder(parsePrefix("10.0.0.0/18"), 18 + bits, fnv1(host));
      const walked = [...walkBlocks(order)];
      assert.equal(walked.length, 1 << bits);
      assert.equal(new Set(walked).size, walked.length);
      walked.forEach((block, i) => {
        parsePrefix(block);
        assert.equal(blockDistance(order, block), BigInt(i));
      });
    }),
  );
});

test("walkBlocks() begins at once in an IPv6 pool of 2^74 blocks", () => {
  const order = blockOrder(parsePrefix("fd00::/48"), 122, fnv1("node1"));
  const [first] = walkBlocks(order).take(1);
  assert.equal(parsePrefix(first ?? ""), first);
});

test("hosts with similar names start at different blocks", () => {
  const pool = parsePrefix("10.0.0.0/16");
  const starts = new Set(
    Array.from({ length: 100 }, (_, i) => blockOrder(pool, 26, fnv1(`node${i}`)).start),
  );
  assert.ok(starts.size > 90, `${starts.size} starts`);
});

test("hosts that meet at one block part at the next", () => {
  const orders = Array.from({ length: 200 }, (_, i) =>
    blockOrder(parsePrefix("10.0.0.0/20"), 26, fnv1(`node${i}`)),
  );
  const meeting = orders.filter(({ start }) => start === orders[0]?.start);
  const seconds = new Set(meeting.map((order) => [...walkBlocks(order).take(2)][1]));
  assert.ok(
    meeting.length > 1 && seconds.size > 1,
    `${meeting.length} hosts, ${seconds.size} blocks`,
  );
});
