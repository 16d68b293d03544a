import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { additionLines, indexesOfAdded } from "../../../../src/kernel/iptables/chain-growth.ts";

test("indexesOfAdded() wants all that is there to stay, in its order", () => {
  const added = (actual: readonly (string | undefined)[], wanted: readonly string[]) =>
    indexesOfAdded(
      actual.map((hash) => (hash === undefined ? {} : { hash })),
      wanted,
    );
  assert.deepEqual(added(["a", "c"], ["a", "b", "c", "d"]), [1, 3]);
  assert.deepEqual(added([], ["a"]), [0]);
  assert.equal(added(["b", "a"], ["a", "b"]), undefined);
  assert.equal(added(["a"], []), undefined);
  assert.equal(added(["a", undefined], ["a", "b"]), undefined, "somebody's rule among ours");
  assert.equal(added(["a", "a"], ["a"]), undefined);
});

test("additionLines() lead from any part of a chain to the whole of it", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 8 }), (present) => {
      const bodies = present.map((_, index) => `rule${index}`);
      const chain = bodies.filter((_, index) => present[index]);
      const missing = present.flatMap((here, index) => (here ? [] : [index]));
      for (const line of additionLines({ name: "cali-a", bodies }, missing)) {
        const [command, , ...rest] = line.split(" ");
        if (command === "-A") chain.push(rest.join(" "));
        else chain.splice(Number(rest[0]) - 1, 0, rest.slice(1).join(" "));
      }
      assert.deepEqual(chain, bodies);
    }),
  );
});
