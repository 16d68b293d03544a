import assert from "node:assert/strict";
import { after, test } from "node:test";
import { simulate } from "./simulation.ts";

const totals = { podsAdded: 0, crashes: 0 };

for (let seed = 1; seed <= 15; seed++) {
  test(`no address is used twice or lost, whatever fails (seed ${seed})`, async () => {
    const { podsAdded, crashes } = await simulate({ seed, hosts: 16 });
    totals.podsAdded += podsAdded;
    totals.crashes += crashes;
  });
}

after(() => {
  assert.ok(totals.podsAdded > 1_000 && totals.crashes > 30, JSON.stringify(totals));
});

test("the simulation finds a datastore that does not compare before it swaps", async () => {
  const runs = Array.from({ length: 5 }, (_, seed) =>
    simulate({ seed, hosts: 16, ignoresVersions: true }).then(
      () => "sound",
      () => "broken",
    ),
  );
  assert.ok((await Promise.all(runs)).includes("broken"));
});
